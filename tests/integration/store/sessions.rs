//! Sessions of the database belong to the service: callers who give up, and organizations with slow statements, do not
//! take them from others.

use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::proto::contact_rule_service_client::ContactRuleServiceClient;
use inkbox_imessage::proto::{
    GetConversationRequest, ListConnectionsRequest, ListContactRulesRequest, WhoAmIRequest,
};
use sqlx::PgPool;

use crate::support::callers::Caller;
use crate::support::locks::{commit, locking, until_waiting};
use crate::support::proxy::{NetworkState, Proxy};
use crate::support::{Human, TestApp, database, eventually};

/// A list that its caller gives up after this time, in gRPC's notation.
async fn list_rules(caller: &Caller, grpc_timeout: &'static str) -> Result<(), tonic::Status> {
    let mut request = caller.request(ListContactRulesRequest::default());
    request.metadata_mut().insert("grpc-timeout", grpc_timeout.parse().unwrap());
    ContactRuleServiceClient::new(caller.channel.clone()).list_contact_rules(request).await.map(drop)
}

async fn until_unused(app: &TestApp) {
    eventually("no session is in use", async || (app.parts.db.pool_state().in_use == 0).then_some(())).await;
}

#[tokio::test]
async fn calls_that_are_abandoned_cost_no_sessions() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    list_rules(&admin, "10S").await.unwrap();
    let rules = locking(&app, "BEGIN; LOCK TABLE contact_rules").await;
    let abandoned = join_all((0..48).map(|_| list_rules(&admin, "100m")));
    assert!(abandoned.await.into_iter().all(|answer| answer.is_err()));

    // Half of the sessions, which is the share of the organization, and no statement of its earlier callers.
    until_waiting(&app, 4).await;
    let opened = app.parts.db.pool_state().opened;
    assert!(opened <= 8, "{opened} sessions were opened");
    commit(rules).await;
    until_unused(&app).await;
    join_all((0..48).map(|_| list_rules(&admin, "10S"))).await.into_iter().for_each(|list| list.unwrap());
    let now = app.parts.db.pool_state().opened;
    assert!(now <= 8, "{now} sessions were opened");
}

#[tokio::test]
async fn slow_statements_of_one_organization_leave_sessions_for_others() {
    let app = TestApp::start().await;
    let (slow, other) = (app.admin("org_slow").await, app.admin("org_other").await);
    other.list_connections(ListConnectionsRequest::default()).await.unwrap();
    let rules = locking(&app, "BEGIN; LOCK TABLE contact_rules").await;
    let lists = (0..32).map(|_| {
        let slow = slow.clone();
        tokio::spawn(async move { list_rules(&slow, "2S").await })
    });
    let lists: Vec<_> = lists.collect();
    until_waiting(&app, 4).await;
    for _ in 0..20 {
        other.list_connections(ListConnectionsRequest::default()).await.unwrap();
    }
    commit(rules).await;
    for list in lists {
        list.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_service_far_from_its_database_warms_up_although_no_caller_is_patient() {
    let direct = database::fresh().await;
    let proxy = Proxy::unix(&direct);
    proxy.set(NetworkState { delay: Duration::from_millis(20), steady: true, ..NetworkState::default() });
    let app = TestApp::builder().database(proxy.options(&direct)).start().await;
    let admin = app.admin("org_a").await;
    // A call takes one round trip of 40 ms, and to open a session several of them.
    eventually("an impatient call is answered", async || list_rules(&admin, "150m").await.ok()).await;
    assert!(app.parts.db.pool_state().opened <= 8);
}

#[tokio::test]
async fn a_connection_that_breaks_fails_none_of_the_reads_that_share_it() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (_, conversation_id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    agent.who_am_i(WhoAmIRequest {}).await.unwrap();
    let conversations = locking(&app, "BEGIN; LOCK TABLE conversations").await;
    let reads: Vec<_> = (0..60)
        .map(|_| {
            let (agent, conversation_id) = (agent.clone(), conversation_id.clone());
            tokio::spawn(async move {
                let request = GetConversationRequest { conversation_id, agent_identity_id: None };
                agent.get_conversation(request).await
            })
        })
        .collect();
    until_waiting(&app, 1).await;
    let terminated = terminate_waiting(&app.pool).await;
    assert!(terminated >= 1);
    commit(conversations).await;
    for read in reads {
        read.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn connections_that_break_fail_none_of_the_lists_on_them() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    list_rules(&admin, "10S").await.unwrap();
    let rules = locking(&app, "BEGIN; LOCK TABLE contact_rules").await;
    let lists: Vec<_> = (0..8)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move { list_rules(&admin, "10S").await })
        })
        .collect();
    // As many as the organization may use at once. The others wait for them.
    until_waiting(&app, 4).await;
    assert_eq!(terminate_waiting(&app.pool).await, 4);
    // Run again at once, on connections of their own.
    until_waiting(&app, 4).await;
    commit(rules).await;
    for list in lists {
        list.await.unwrap().unwrap();
    }
}

/// Ends the sessions that wait for a lock, as an administrator or a failover does.
async fn terminate_waiting(pool: &PgPool) -> i64 {
    sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}
