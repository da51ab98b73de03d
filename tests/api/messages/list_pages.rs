use inkbox_imessage::proto::{ListConversationsRequest, ListMessagesRequest};

use super::all_messages;
use super::scene::{Scene, filters};
use crate::support::callers::Caller;
use crate::support::{Human, assert_fields};

async fn ids(caller: &Caller, request: ListMessagesRequest) -> Vec<String> {
    let answer = caller.list_messages(request).await.unwrap();
    answer.messages.into_iter().map(|message| message.id).collect()
}

async fn walk(caller: &Caller, request: &ListMessagesRequest, rows: i32) -> Vec<String> {
    let mut seen = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = ListMessagesRequest { limit: Some(rows), page_token, ..request.clone() };
        let answer = caller.list_messages(page).await.unwrap();
        assert!(answer.messages.len() <= usize::try_from(rows).unwrap());
        seen.extend(answer.messages.into_iter().map(|message| message.id));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return seen;
        }
    }
}

#[tokio::test]
async fn an_admin_key_visits_every_row_once_by_token() {
    let scene = Scene::set().await;
    let scopes = scene.scopes_of_admin();
    // The organization, an identity, a conversation, and a conversation with its identity.
    for (scope, _) in [&scopes[0], &scopes[1], &scopes[3], &scopes[4]] {
        for (is_blocked, is_read) in filters() {
            let request = ListMessagesRequest { is_blocked, is_read, ..scope.clone() };
            let expected = ids(&scene.admin, request.clone()).await;
            for rows in [1, 3] {
                assert_eq!(walk(&scene.admin, &request, rows).await, expected, "{rows} {request:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_identity_key_visits_every_row_once_by_token() {
    let scene = Scene::set().await;
    for (scope, _) in scene.scopes_of_agent() {
        for (is_blocked, is_read) in filters() {
            let request = ListMessagesRequest { is_blocked, is_read, ..scope.clone() };
            let expected = ids(&scene.agents[0], request.clone()).await;
            for rows in [1, 3] {
                assert_eq!(walk(&scene.agents[0], &request, rows).await, expected, "{rows} {request:?}");
            }
        }
    }
}

#[tokio::test]
async fn offset_skips_rows_in_every_filter() {
    let scene = Scene::set().await;
    for (is_blocked, is_read) in filters() {
        let request = ListMessagesRequest { is_blocked, is_read, ..Default::default() };
        let all = ids(&scene.admin, request.clone()).await;
        for offset in [0, 1, 5, all.len(), all.len() + 1] {
            let page = ListMessagesRequest {
                offset: Some(i32::try_from(offset).unwrap()),
                limit: Some(4),
                ..request.clone()
            };
            let expected: Vec<_> = all.iter().skip(offset).take(4).cloned().collect();
            assert_eq!(ids(&scene.admin, page.clone()).await, expected, "{page:?}");
        }
    }
}

#[tokio::test]
async fn a_token_of_an_offset_page_goes_on_behind_it() {
    let scene = Scene::set().await;
    let all = ids(&scene.admin, ListMessagesRequest::default()).await;
    let page = ListMessagesRequest { offset: Some(2), limit: Some(3), ..Default::default() };
    let page_token = scene.admin.list_messages(page).await.unwrap().next_page_token;
    let rest = ids(&scene.admin, ListMessagesRequest { page_token, ..Default::default() }).await;
    assert_eq!(rest, all[5..]);
}

#[tokio::test]
async fn a_message_that_arrives_meanwhile_is_neither_repeated_nor_does_it_repeat_others() {
    let scene = Scene::set().await;
    let before = ids(&scene.admin, ListMessagesRequest::default()).await;
    let first = ListMessagesRequest { limit: Some(5), ..Default::default() };
    let page_token = scene.admin.list_messages(first).await.unwrap().next_page_token;
    let human = Human::new(&scene.app, "+15551230009").await;
    human.converses(&scene.identities[0], "meanwhile").await;
    let rest = ids(&scene.admin, ListMessagesRequest { page_token, ..Default::default() }).await;
    assert_eq!(rest, before[5..]);
}

#[tokio::test]
async fn a_token_is_refused_with_another_method_scope_or_filter() {
    let scene = Scene::set().await;
    let first = ListMessagesRequest { limit: Some(2), ..Default::default() };
    let page_token = scene.admin.list_messages(first).await.unwrap().next_page_token;
    assert!(!page_token.is_empty());
    let same = ListMessagesRequest { page_token: page_token.clone(), ..Default::default() };
    assert!(scene.admin.list_messages(same.clone()).await.is_ok());
    let others = [
        ListMessagesRequest { agent_identity_id: Some(scene.identities[0].id.clone()), ..same.clone() },
        ListMessagesRequest { conversation_id: Some(scene.conversations[0].clone()), ..same.clone() },
        ListMessagesRequest { is_blocked: Some(false), ..same.clone() },
        ListMessagesRequest { is_blocked: Some(true), ..same.clone() },
        ListMessagesRequest { is_read: Some(false), ..same.clone() },
        ListMessagesRequest { is_read: Some(true), ..same.clone() },
    ];
    for other in others {
        assert_fields(scene.admin.list_messages(other).await, &["page_token"]);
    }
    assert_fields(scene.agents[0].list_messages(same.clone()).await, &["page_token"]);
    assert_fields(scene.app.admin("org_b").await.list_messages(same).await, &["page_token"]);
    let method = ListConversationsRequest { page_token, ..Default::default() };
    assert_fields(scene.admin.list_conversations(method).await, &["page_token"]);
}

#[tokio::test]
async fn a_token_works_with_another_key_that_sees_the_same_rows_and_another_limit() {
    let scene = Scene::set().await;
    let first = ListMessagesRequest { limit: Some(2), ..Default::default() };
    let page_token = scene.agents[0].list_messages(first).await.unwrap().next_page_token;
    let all = ids(&scene.agents[0], ListMessagesRequest::default()).await;
    let by_admin = ListMessagesRequest {
        agent_identity_id: Some(scene.identities[0].id.clone()),
        is_blocked: Some(false),
        limit: Some(7),
        page_token,
        ..Default::default()
    };
    assert_eq!(ids(&scene.admin, by_admin).await, all[2..9]);
}

#[tokio::test]
async fn a_token_that_is_none_and_one_beside_an_offset_are_refused() {
    let scene = Scene::set().await;
    let nonsense = ListMessagesRequest { page_token: "nonsense".to_owned(), ..Default::default() };
    assert_fields(scene.admin.list_messages(nonsense).await, &["page_token"]);
    let first = ListMessagesRequest { limit: Some(2), ..Default::default() };
    let page_token = scene.admin.list_messages(first).await.unwrap().next_page_token;
    let both = ListMessagesRequest { page_token, offset: Some(0), ..Default::default() };
    assert_fields(scene.admin.list_messages(both).await, &["offset", "page_token"]);
}

#[tokio::test]
async fn fifty_rows_without_a_limit_and_two_hundred_at_most() {
    let scene = Scene::set().await;
    sqlx::query(
        "INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                               direction, is_blocked, text, transport, status, created_at, updated_at)
         SELECT organization_id, gen_random_uuid(), conversation_id, agent_identity_id, assignment_id, line_number,
                direction, is_blocked, text, transport, status, created_at - n * interval '1 s', updated_at
         FROM messages, generate_series(1, 60) n WHERE direction = 2",
    )
    .execute(&scene.app.pool)
    .await
    .unwrap();
    assert_eq!(ids(&scene.admin, ListMessagesRequest::default()).await.len(), 50);
    assert_eq!(all_messages(&scene.admin).await.len(), 200);
}
