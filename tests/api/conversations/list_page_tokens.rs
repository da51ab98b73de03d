use inkbox_imessage::proto::{Identity, ListConnectionsRequest, ListConversationsRequest};

use super::listed;
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, assert_fields, rows};

fn first(is_blocked: Option<bool>, identity: Option<&Identity>) -> ListConversationsRequest {
    ListConversationsRequest {
        agent_identity_id: identity.map(|identity| identity.id.clone()),
        limit: Some(1),
        is_blocked,
        ..Default::default()
    }
}

fn next(token: &str, is_blocked: Option<bool>, identity: Option<&Identity>) -> ListConversationsRequest {
    ListConversationsRequest { page_token: token.to_owned(), ..first(is_blocked, identity) }
}

/// The token of a first page of one row; the test needs a second one.
async fn token(caller: &Caller, request: ListConversationsRequest) -> String {
    let token = caller.list_conversations(request).await.unwrap().next_page_token;
    assert!(!token.is_empty());
    token
}

/// Two humans who have said something clear and something blocked.
async fn two_conversations(app: &TestApp, identity: &Identity) {
    for number in ["+15551230001", "+15551230002"] {
        let human = Human::new(app, number).await;
        let (thread, _) = human.converses(identity, "hello").await;
        super::says_blocked(app, identity, &human, &thread, "spam").await;
    }
}

#[tokio::test]
async fn a_token_is_refused_with_another_view() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    two_conversations(&app, &identity).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    let views = [None, Some(false), Some(true)];
    for of in views {
        let token = token(&admin, first(of, None)).await;
        for with in views {
            let answer = admin.list_conversations(next(&token, with, None)).await;
            if of == with {
                assert_eq!(answer.unwrap().conversations.len(), 1);
            } else {
                assert_fields(answer, &["page_token"]);
            }
        }
    }
    let token = token(&agent, first(None, None)).await;
    assert_fields(agent.list_conversations(next(&token, Some(true), None)).await, &["page_token"]);
}

#[tokio::test]
async fn a_token_is_refused_with_other_rows_than_it_was_given_for() {
    let app = TestApp::start().await;
    let (identity, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    two_conversations(&app, &identity).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let (of_sibling, of_foreign) = (app.agent(&sibling).await, app.admin("org_b").await);

    let whole = token(&admin, first(None, None)).await;
    for answer in [
        admin.list_conversations(next(&whole, None, Some(&identity))).await,
        of_foreign.list_conversations(next(&whole, None, None)).await,
        agent.list_conversations(next(&whole, None, None)).await,
    ] {
        assert_fields(answer, &["page_token"]);
    }
    let one = token(&agent, first(None, None)).await;
    for answer in [
        admin.list_conversations(next(&one, Some(false), None)).await,
        admin.list_conversations(next(&one, Some(false), Some(&sibling))).await,
        of_sibling.list_conversations(next(&one, None, None)).await,
        of_foreign.list_conversations(next(&one, Some(false), Some(&foreign))).await,
    ] {
        assert_fields(answer, &["page_token"]);
    }
}

#[tokio::test]
async fn a_token_is_refused_by_another_method() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    rows::many_conversations(&app.pool, &identity, 2).await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let of_conversations = token(&caller, first(None, None)).await;
        let connections = ListConnectionsRequest { limit: Some(1), ..Default::default() };
        let of_connections = caller.list_connections(connections.clone()).await.unwrap().next_page_token;
        assert!(!of_connections.is_empty());

        assert_fields(caller.list_conversations(next(&of_connections, None, None)).await, &["page_token"]);
        let connections = ListConnectionsRequest { page_token: of_conversations, ..connections };
        assert_fields(caller.list_connections(connections).await, &["page_token"]);
    }
}

#[tokio::test]
async fn a_token_of_another_list_is_told_before_the_identity_is_looked_up() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    rows::many_conversations(&app.pool, &identity, 2).await;
    let disabled = app.identity_with("org_a", |identity| identity.imessage_enabled = false).await;
    let foreign = app.identity("org_b").await;
    let admin = app.admin("org_a").await;

    let whole = token(&admin, first(None, None)).await;
    for named in [&disabled, &foreign] {
        let answer = admin.list_conversations(next(&whole, None, Some(named))).await;
        assert_fields(answer, &["page_token"]);
    }
}

#[tokio::test]
async fn what_this_service_never_gave_is_refused() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    rows::many_conversations(&app.pool, &identity, 2).await;
    let admin = app.admin("org_a").await;
    let good = token(&admin, first(None, None)).await;

    let end = &good[1..];
    for bad in [
        " ".to_owned(),
        "nonsense".to_owned(),
        "💥".to_owned(),
        good[..good.len() - 1].to_owned(),
        good[..good.len() / 2].to_owned(),
        end.to_owned(),
        format!("{good}A"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}{good}"),
        format!("z{end}"),
        "A".repeat(100_000),
    ] {
        assert_fields(admin.list_conversations(next(&bad, None, None)).await, &["page_token"]);
    }
    assert_eq!(admin.list_conversations(next(&good, None, None)).await.unwrap().conversations.len(), 1);
}

#[tokio::test]
async fn token_and_offset_together_name_both_fields() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    rows::many_conversations(&app.pool, &identity, 2).await;
    let admin = app.admin("org_a").await;
    let good = token(&admin, first(None, None)).await;

    for offset in [0, 1] {
        let both = ListConversationsRequest { offset: Some(offset), ..next(&good, None, None) };
        assert_fields(admin.list_conversations(both.clone()).await, &["offset", "page_token"]);
        let more = ListConversationsRequest { limit: Some(0), ..both };
        assert_fields(admin.list_conversations(more).await, &["limit", "offset", "page_token"]);
    }
}

#[tokio::test]
async fn a_token_works_with_every_key_that_sees_the_same_rows() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    two_conversations(&app, &identity).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let (other_admin, other_agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let second = listed(&agent, None).await.split_off(1);

    let whole = token(&admin, first(None, None)).await;
    let answer = other_admin.list_conversations(next(&whole, None, None)).await.unwrap();
    assert_eq!(answer.conversations, [listed(&admin, None).await.remove(1)]);

    let one = token(&agent, first(None, None)).await;
    for answer in [
        agent.list_conversations(next(&one, Some(false), None)).await,
        agent.list_conversations(next(&one, None, Some(&identity))).await,
        other_agent.list_conversations(next(&one, None, None)).await,
        admin.list_conversations(next(&one, Some(false), Some(&identity))).await,
    ] {
        assert_eq!(answer.unwrap().conversations, second);
    }
}

#[tokio::test]
async fn a_token_works_on_another_replica() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    two_conversations(&app, &identity).await;
    let admin = app.admin("org_a").await;
    let replica = app.replica().await;

    let here = token(&admin, first(None, None)).await;
    let there = replica.with_secret(admin.secret.as_ref().unwrap());
    let answer = there.list_conversations(next(&here, None, None)).await.unwrap();
    assert_eq!(answer.conversations, [listed(&admin, None).await.remove(1)]);
}
