//! A repair whose rows are locked by a concurrent transaction waits for it and then uses the committed state.

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::verify::{self, Repaired};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, raw_sql};

use super::names;
use crate::support::locks::{commit, until_waiting};
use crate::support::{Human, TestApp, invariants};

/// A connect of this human to the only agent, in SQL.
const CONNECTS: &str = "
    INSERT INTO routes SELECT '+12025550101', '+15551230002', organization_id, id, '00000000-0000-7000-8000-000000000001'
        FROM identities;
    INSERT INTO routed_organizations VALUES ('+12025550101', '+15551230002', 'org_a')
        ON CONFLICT (line_number, remote_number, organization_id) DO UPDATE SET organization_id = 'org_a';
    INSERT INTO connections SELECT organization_id, connection_id, agent_identity_id, line_number, remote_number, NULL,
                                   now(), now()
        FROM routes WHERE remote_number = '+15551230002';
    UPDATE lines SET active_connections = active_connections + 1 WHERE number = '+12025550101'";
/// An inbound message of the human, in SQL.
const TEXTS: &str = "
    UPDATE conversations SET clear_total = clear_total + 1, clear_received = clear_received + 1, latest_at = now(),
                             clear_latest_id = '00000000-0000-7000-8000-000000000001', clear_latest_at = now(),
                             clear_latest_text = 'another', clear_latest_has_media = false;
    INSERT INTO messages SELECT organization_id, '00000000-0000-7000-8000-000000000001', conversation_id, agent_identity_id,
                                assignment_id, line_number, 'another', direction, received_number + 1, is_blocked, 'another',
                                media, send_style, transport, status, error_code, error_message, was_downgraded, now(), now()
        FROM messages";
/// A release of all connections. It does not find a conversation that refers to a wrong connection.
const RELEASES: &str = "
    DELETE FROM routes;
    UPDATE connections SET released_at = now();
    UPDATE conversations SET assignment_released = true WHERE assignment_id IN (SELECT id FROM connections);
    UPDATE lines SET active_connections = 0";
/// A discard of all conversations and connections.
const DISCARDS: &str = "
    INSERT INTO discarded_conversations SELECT organization_id, id, now() FROM conversations;
    DELETE FROM conversations;
    DELETE FROM routes;
    DELETE FROM connections;
    DELETE FROM routed_organizations;
    UPDATE router_commands SET connection_id = NULL;
    UPDATE lines SET active_connections = 0";
/// A redaction of all bodies, which misses the preview because that refers to a wrong message.
const REDACTS: &str = "
    INSERT INTO retention_progress VALUES ('org_a', '00000000-0000-0000-0000-000000000000',
                                           '00000000-0000-0000-0000-000000000000');
    SELECT messages_to FROM retention_progress WHERE organization_id = 'org_a' FOR NO KEY UPDATE;
    UPDATE messages SET text = NULL;
    UPDATE retention_progress SET messages_to = 'ffffffff-ffff-ffff-ffff-ffffffffffff'";

async fn run(connection: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

/// Violates an invariant, repairs it while `changes` are uncommitted, and asserts that no violation remains.
/// Returns the repairs.
async fn is_waited_for(violating: &str, changes: &str) -> Vec<Repaired> {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let mut session = app.options.connect().await.unwrap();
    run(&mut session, violating).await;
    let report = super::verify(&app, &app.options).await;
    assert_ne!(names(&report), [""; 0], "{violating}");

    run(&mut session, "BEGIN").await;
    run(&mut session, changes).await;
    let (options, now) = (app.options.clone(), app.clock.now());
    let repairing = tokio::spawn(async move { verify::repair(&options, now).await });
    until_waiting(&app, 1).await;
    commit(session).await;
    let repaired = repairing.await.unwrap().unwrap();
    invariants::hold(&app).await;
    repaired
}

#[tokio::test]
async fn a_line_count_includes_a_concurrent_connect() {
    is_waited_for("UPDATE lines SET active_connections = 7", CONNECTS).await;
}

#[tokio::test]
async fn the_contact_history_of_a_concurrent_connect_is_kept() {
    let superfluous = "INSERT INTO routed_organizations VALUES ('+12025550101', '+15551230002', 'org_a')";
    // It must not be removed and added again either: a redelivery in between would not be recognised.
    assert_eq!(is_waited_for(superfluous, CONNECTS).await, []);
}

#[tokio::test]
async fn conversation_counters_include_a_concurrent_message() {
    is_waited_for("UPDATE conversations SET clear_total = 7", TEXTS).await;
}

#[tokio::test]
async fn a_concurrently_released_connection_gets_no_route() {
    is_waited_for("DELETE FROM routes", RELEASES).await;
}

#[tokio::test]
async fn a_preview_is_not_rebuilt_from_a_concurrently_redacted_body() {
    is_waited_for(
        "UPDATE conversations SET clear_latest_id = '00000000-0000-7000-8000-000000000009'",
        REDACTS,
    )
    .await;
}

#[tokio::test]
async fn a_conversation_follows_a_concurrent_release() {
    is_waited_for(
        "UPDATE conversations SET assignment_id = '00000000-0000-7000-8000-000000000009'",
        RELEASES,
    )
    .await;
}

#[tokio::test]
async fn a_concurrently_discarded_connection_gets_no_contact_history() {
    assert_eq!(is_waited_for("DELETE FROM routed_organizations", DISCARDS).await, []);
}
