use std::time::{Duration, Instant};

use inkbox_imessage::proto::{
    ListConnectionsRequest, ListContactRulesRequest, ListConversationsRequest, ListDeliveriesRequest,
    MarkConversationReadRequest, MarkConversationReadResponse,
};
use tonic::{Response, Status};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::support::callers::Caller;
use crate::support::locks::{commit, locking, until_waiting};
use crate::support::{Human, TestApp, assert_reason, eventually};

/// The sandbox takes 2 s for this number.
const SLOW: &str = "+15005550003";

async fn mark_read(
    caller: &Caller,
    conversation_id: &str,
    grpc_timeout: Option<&'static str>,
) -> Result<MarkConversationReadResponse, Status> {
    use inkbox_imessage::proto::conversation_service_client::ConversationServiceClient;
    let message =
        MarkConversationReadRequest { conversation_id: conversation_id.to_owned(), ..Default::default() };
    let mut request = caller.request(message);
    if let Some(time) = grpc_timeout {
        request.metadata_mut().insert("grpc-timeout", time.parse().unwrap());
    }
    let mut client = ConversationServiceClient::new(caller.channel.clone());
    client.mark_conversation_read(request).await.map(Response::into_inner)
}

#[tokio::test]
async fn calls_beyond_the_bound_are_refused_at_once_and_health_and_reflection_are_not_counted() {
    let app = TestApp::with(|settings| settings.admission.calls = 1).await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, SLOW).await.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    // The slow call is itself refused while one of those that look for it has the place.
    let slow = tokio::spawn(async move {
        eventually("the slow call has had the place", async || mark_read(&agent, &id, None).await.ok()).await
    });
    let refused = eventually("the slow call takes the only place", async || {
        admin.list_conversations(ListConversationsRequest::default()).await.err()
    })
    .await;
    assert_reason(Err::<(), _>(refused), "OVERLOADED");
    assert_eq!(app.health("").await, Some("SERVING"));
    let mut reflection = ServerReflectionClient::new(app.channel());
    let asked = tokio_stream::once(ServerReflectionRequest::default());
    assert!(reflection.server_reflection_info(asked).await.is_ok());
    assert_eq!(slow.await.unwrap().updated_count, 1);
    assert!(admin.list_conversations(ListConversationsRequest::default()).await.is_ok());
}

/// The pool has one session. One call holds it because of a locked table, and a second one waits.
#[tokio::test]
async fn calls_are_refused_while_others_wait_long_for_the_database_and_taken_again_afterwards() {
    let app = TestApp::with(|settings| {
        settings.sessions = 1;
        settings.admission.queue_timeout = Duration::from_millis(5);
    })
    .await;
    let (admin, other) = (app.admin("org_a").await, app.admin("org_b").await);
    for caller in [&admin, &other] {
        caller.list_connections(ListConnectionsRequest::default()).await.unwrap();
    }
    let rules = locking(&app, "BEGIN; LOCK TABLE contact_rules").await;
    let list_rules = |caller: &Caller| {
        let caller = caller.clone();
        tokio::spawn(async move { caller.list_contact_rules(ListContactRulesRequest::default()).await })
    };
    let first = list_rules(&admin);
    until_waiting(&app, 1).await;
    let second = list_rules(&admin);
    let until_others_wait = async |calls| {
        eventually("calls wait for the session", async || {
            (app.parts.db.pool_state().waiting >= calls).then_some(())
        })
        .await;
    };
    until_others_wait(1).await;

    let refused = eventually("the second call has waited too long", async || {
        admin.list_connections(ListConnectionsRequest::default()).await.err()
    })
    .await;
    assert!(assert_reason(Err::<(), _>(refused), "OVERLOADED").retry_info().is_some());
    assert_eq!(app.health("").await, Some("SERVING"));
    // The calls of one organization do not refuse those of another.
    let third = list_rules(&other);
    until_others_wait(2).await;
    commit(rules).await;
    for call in [first, second, third] {
        call.await.unwrap().unwrap();
    }
    admin.list_connections(ListConnectionsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_call_longer_than_its_client_waits_is_a_deadline_exceeded_and_what_it_began_is_done() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, SLOW).await.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    let started = Instant::now();
    assert_reason(mark_read(&agent, &id, Some("1S")).await, "DEADLINE_EXCEEDED");
    let waited = started.elapsed();
    assert!(waited > Duration::from_millis(900) && waited < Duration::from_millis(1_100), "{waited:?}");

    let deliveries = admin.list_deliveries(ListDeliveriesRequest::default()).await.unwrap().deliveries;
    assert_eq!(deliveries.len(), 1);
    eventually("the receipt that the line took is marked", async || {
        let listed = agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
        (listed.conversations[0].unread_count == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_call_longer_than_the_service_lets_it_is_a_deadline_exceeded_whatever_its_client_says() {
    let app = TestApp::with(|settings| settings.calls.max_duration = Duration::from_millis(500)).await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, SLOW).await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;

    for asked in [None, Some("10S"), Some("nonsense")] {
        let started = Instant::now();
        assert_reason(mark_read(&agent, &id, asked).await, "DEADLINE_EXCEEDED");
        let waited = started.elapsed();
        assert!(waited > Duration::from_millis(450) && waited < Duration::from_millis(600), "{waited:?}");
    }
}
