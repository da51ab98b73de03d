//! Releases, and what they race with.

use inkbox_imessage::proto::{
    AssignmentStatus, GetConversationRequest, ListConnectionsRequest, ListConversationsRequest,
    MarkConversationReadRequest, ReceiveOutcome, ReleaseConnectionRequest,
};
use tonic::Status;
use uuid::Uuid;

use crate::messages::{all_messages, delivered, send, texts};
use crate::support::assertions::assert_alike;
use crate::support::callers::Caller;
use crate::support::human::Thread;
use crate::support::{Human, Scene, TestApp, assert_fields, assert_reason, eventually};

pub(super) fn release(thread: &Thread) -> ReleaseConnectionRequest {
    ReleaseConnectionRequest { connection_id: thread.connection_id.clone() }
}

async fn mark(caller: &Caller, id: &str) -> Result<i32, Status> {
    let request = MarkConversationReadRequest { conversation_id: id.to_owned(), ..Default::default() };
    caller.mark_conversation_read(request).await.map(|answer| answer.updated_count)
}

async fn unread(caller: &Caller) -> i32 {
    let list = caller.list_conversations(ListConversationsRequest::default()).await.unwrap();
    list.conversations[0].unread_count
}

#[tokio::test]
async fn a_released_connection_is_no_longer_active_anywhere() {
    let Scene { app: _app, identity, human, thread, conversation_id: id, admin, .. } = Scene::start().await;
    let connection = admin.release_connection(release(&thread)).await.unwrap().connection.unwrap();
    assert_eq!(connection.id, thread.connection_id);
    assert_eq!(connection.status(), AssignmentStatus::Released);
    assert!(connection.released_at.is_some() && connection.released_at == connection.updated_at);
    assert_eq!((&connection.agent_identity_id, &connection.remote_number), (&identity.id, &human.number));
    assert_eq!(connection.organization_id, "org_a");

    let listed = admin.list_connections(ListConnectionsRequest::default()).await.unwrap().connections;
    assert_eq!(listed, []);
    let get = GetConversationRequest { conversation_id: id, agent_identity_id: None };
    let conversation = admin.get_conversation(get).await.unwrap().conversation.unwrap();
    assert_eq!(conversation.assignment_status(), AssignmentStatus::Released);
}

#[tokio::test]
async fn a_second_call_is_not_found_like_an_unknown_and_a_foreign_connection() {
    let app = TestApp::start().await;
    let (identity, foreign) = (app.identity("org_a").await, app.identity("org_b").await);
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "hello").await;
    let (of_foreign, _) = human.converses(&foreign, "hello").await;
    let silent = human.connects(&app.identity("org_a").await).await;
    let admin = app.admin("org_a").await;
    let unknown = ReleaseConnectionRequest { connection_id: Uuid::from_u128(1).to_string() };
    let answer = admin.release_connection(unknown).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    for thread in [&thread, &silent] {
        admin.release_connection(release(thread)).await.unwrap();
        assert_alike(admin.release_connection(release(thread)).await, answer.clone());
    }
    assert_alike(admin.release_connection(release(&of_foreign)).await, answer);
    assert_eq!(human.says(&of_foreign, "still here").await.outcome(), ReceiveOutcome::Stored);
}

#[tokio::test]
async fn admin_keys_only_and_a_malformed_id_is_told_first() {
    let Scene { app, identity, human, thread, .. } = Scene::start().await;
    let malformed = ReleaseConnectionRequest { connection_id: String::new() };
    for caller in [app.agent(&identity).await, app.router().await] {
        assert_fields(caller.release_connection(malformed.clone()).await, &["connection_id"]);
        assert_reason(caller.release_connection(release(&thread)).await, "SCOPE_INSUFFICIENT");
    }
    assert_fields(app.admin("org_a").await.release_connection(malformed.clone()).await, &["connection_id"]);
    assert_reason(app.stranger().release_connection(malformed).await, "API_KEY_INVALID");
    assert_eq!(human.says(&thread, "still here").await.outcome(), ReceiveOutcome::Stored);
}

#[tokio::test]
async fn a_text_on_the_old_line_is_not_stored() {
    let Scene { app: _app, human, thread, admin, .. } = Scene::start().await;
    admin.release_connection(release(&thread)).await.unwrap();
    let answer = human.says(&thread, "anyone there?").await;
    assert_eq!(answer.outcome(), ReceiveOutcome::NotConnected);
    assert_eq!((answer.message_id, answer.conversation_id, answer.connection_id), (None, None, None));
    assert_eq!(texts(&all_messages(&admin).await), ["hello"]);
}

#[tokio::test]
async fn a_reconnect_makes_a_new_connection_of_the_same_conversation() {
    let Scene { app: _app, identity, human, thread, conversation_id: id, admin, agent, .. } =
        Scene::start().await;
    admin.release_connection(release(&thread)).await.unwrap();
    let (again, same) = human.converses(&identity, "back").await;
    assert_eq!(same, id);
    assert_ne!(again.connection_id, thread.connection_id);
    let get = GetConversationRequest { conversation_id: id.clone(), agent_identity_id: None };
    let conversation = agent.get_conversation(get).await.unwrap().conversation.unwrap();
    assert_eq!(conversation.assignment_id, again.connection_id);
    assert_eq!(conversation.assignment_status(), AssignmentStatus::Active);
    assert_eq!(mark(&agent, &id).await.unwrap(), 2);
    send(&agent, &id, "welcome back").await;
    assert_reason(admin.release_connection(release(&thread)).await, "NOT_FOUND");
    assert_eq!(human.says(&again, "still here").await.outcome(), ReceiveOutcome::Stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mark_that_races_a_release_marks_or_is_refused() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let (mut marked, mut refused) = (0, 0);
    for round in 0..60 {
        let before = if round == 0 { 0 } else { unread(&admin).await };
        let (thread, id) = human.converses(&identity, "hello").await;
        let releasing = tokio::spawn({
            let (admin, request) = (admin.clone(), release(&thread));
            async move { admin.release_connection(request).await }
        });
        let answer = mark(&agent, &id).await;
        releasing.await.unwrap().unwrap();
        match answer {
            Ok(updated) => {
                assert_eq!((updated, unread(&admin).await), (before + 1, 0));
                marked += 1;
            }
            other => {
                assert_reason(other, "CONNECTION_RELEASED");
                assert_eq!(unread(&admin).await, before + 1, "nothing is marked");
                refused += 1;
            }
        }
    }
    assert_eq!(marked + refused, 60);
}

#[tokio::test]
async fn a_mark_whose_receipt_is_on_its_way_while_the_release_happens_marks_what_was_seen() {
    let Scene { app: _app, thread, conversation_id: id, admin, agent, .. } =
        Scene::with_human("+15005550003").await;
    let marking = tokio::spawn({
        let (agent, id) = (agent.clone(), id.clone());
        async move { mark(&agent, &id).await }
    });
    eventually("the line has the receipt", async || (!delivered(&admin, &id).await.is_empty()).then_some(()))
        .await;
    admin.release_connection(release(&thread)).await.unwrap();
    assert_eq!(marking.await.unwrap().unwrap(), 1, "the phone shows it as read");
    assert_eq!(unread(&admin).await, 0);
}
