//! Verification and repair while the service is under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::verify;
use inkbox_imessage::proto::{
    Identity, MarkConversationReadRequest, ReceiveMessageRequest, ReceiveMessageResponse, ReceiveOutcome,
};
use sqlx::raw_sql;
use tonic_types::StatusExt as _;

use super::names;
use super::names::{COUNTS, LINE, ROUTES};
use crate::messages::to_conversation;
use crate::support::app::ROUTER_LINE;
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, eventually, invariants, rows};

/// Concurrent humans.
const HUMANS: usize = 6;
/// How often the database is checked, or damaged and repaired, during the load.
const ROUNDS: usize = 6;

/// Delivers a message, retrying while the service asks for it: an active connection without a route is
/// unavailable until a repair.
async fn received(human: &Human, text: ReceiveMessageRequest) -> ReceiveMessageResponse {
    eventually("the text is received", async || match human.router.receive_message(text.clone()).await {
        Ok(answer) => Some(answer),
        Err(status) => {
            assert!(status.get_details_retry_info().is_some(), "{status:?}");
            None
        }
    })
    .await
}

/// Receives, answers, marks read, blocks and reconnects until it is stopped. Returns the ids of the stored
/// messages.
async fn converse(
    app: &TestApp,
    agent: Caller,
    identity: Identity,
    n: usize,
    stop: &AtomicBool,
) -> Vec<String> {
    let human = Human::new(app, &format!("+1555123{n:04}")).await;
    let mut stored = Vec::new();
    for round in 0.. {
        let to_router = |verb| human.text(ROUTER_LINE, &format!("{verb} @{}", identity.agent_handle));
        let connected = received(&human, to_router("connect")).await;
        assert_eq!(connected.outcome(), ReceiveOutcome::Connected, "{connected:?}");
        let line = connected.line_number.unwrap();
        for _ in 0..3 {
            let said = received(&human, human.text(&line, "hello")).await;
            // The route was removed by the test.
            let Some(id) = said.conversation_id else {
                assert_eq!(said.outcome(), ReceiveOutcome::NotConnected);
                continue;
            };
            stored.push(said.message_id.unwrap());
            let _ = agent.send_message(to_conversation(&id, "hi")).await;
            let _ = agent
                .mark_conversation_read(MarkConversationReadRequest {
                    conversation_id: id,
                    ..Default::default()
                })
                .await;
        }
        if round % 3 == 0 {
            rows::block(&app.pool, &identity, &human.number).await;
            stored.extend(received(&human, human.text(&line, "blocked")).await.message_id);
            rows::remove_rules(&app.pool, &identity).await;
        }
        received(&human, to_router("disconnect")).await;
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    stored
}

/// Runs the load concurrently with `work`. Returns the ids of the stored messages.
async fn under_load(app: &Arc<TestApp>, work: impl AsyncFnOnce()) -> Vec<String> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = Vec::new();
    for n in 0..HUMANS {
        let identity = app.identity(["org_a", "org_b"][n % 2]).await;
        let agent = app.agent(&identity).await;
        let (app, stop) = (app.clone(), stop.clone());
        load.push(tokio::spawn(async move { converse(&app, agent, identity, n, &stop).await }));
    }
    work().await;
    stop.store(true, Ordering::Relaxed);
    join_all(load).await.into_iter().flat_map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writes_cause_no_false_violation() {
    let app = Arc::new(TestApp::start().await);
    let stored = under_load(&app, async || {
        for _ in 0..ROUNDS {
            let report = super::verify(&app, &app.options).await;
            assert_eq!(names(&report), [""; 0], "{report:#?}");
        }
    });
    assert!(stored.await.len() > HUMANS);
    invariants::hold(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_under_load_restores_invariants_and_loses_no_message() {
    let app = Arc::new(TestApp::start().await);
    let mut repaired = Vec::new();
    let stored = under_load(&app, async || {
        for _ in 0..ROUNDS {
            // Separate statements, so that each holds its locks briefly.
            for violating in [
                "UPDATE conversations SET clear_total = clear_total + 5, blocked_total = 3, clear_latest_text = 'x'",
                "UPDATE lines SET active_connections = active_connections + 2",
                "DELETE FROM routes WHERE right(remote_number, 1) = '1'",
            ] {
                raw_sql(violating).execute(&app.pool).await.unwrap();
            }
            repaired.extend(verify::repair(&app.options, app.clock.now()).await.unwrap());
        }
    });
    let stored = stored.await;
    for name in [COUNTS, LINE, ROUTES] {
        assert!(repaired.iter().any(|repaired| repaired.invariant == name), "{name}: {repaired:?}");
    }
    // Repairs what was locked by the load before.
    verify::repair(&app.options, app.clock.now()).await.unwrap();
    invariants::hold(&app).await;
    let kept: Vec<String> = sqlx::query_scalar("SELECT id::text FROM messages WHERE direction = 1")
        .fetch_all(&app.pool)
        .await
        .unwrap();
    assert!(stored.len() > HUMANS && stored.iter().all(|id| kept.contains(id)));
    assert_eq!(stored.len(), kept.len());
}
