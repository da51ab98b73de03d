//! Beside a service with callers.

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
use super::table::{COUNTS, LINE, ROUTES};
use crate::messages::to_conversation;
use crate::support::app::ROUTER_LINE;
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, eventually, invariants, rows};

/// Humans at once.
const HUMANS: usize = 6;
/// How often the database is looked at, or broken and mended, meanwhile.
const LOOKS: usize = 6;

/// Has a text received: again while the service says so, as of two who are connected and have no route, until a repair.
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

/// Texts, answers, marks, blocks and reconnects until it is stopped; gives the ids of the messages that were stored.
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
            // Where its route was taken away by hand.
            let Some(id) = said.conversation_id else {
                assert_eq!(said.outcome(), ReceiveOutcome::NotConnected);
                continue;
            };
            stored.push(said.message_id.unwrap());
            let _ = agent.send_message(to_conversation(&id, "hi")).await;
            let _ = agent.mark_conversation_read(MarkConversationReadRequest { conversation_id: id }).await;
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

/// Runs the load beside something else; gives what was stored.
async fn beside(app: &Arc<TestApp>, other: impl AsyncFnOnce()) -> Vec<String> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut load = Vec::new();
    for n in 0..HUMANS {
        let identity = app.identity(["org_a", "org_b"][n % 2]).await;
        let agent = app.agent(&identity).await;
        let (app, stop) = (app.clone(), stop.clone());
        load.push(tokio::spawn(async move { converse(&app, agent, identity, n, &stop).await }));
    }
    other().await;
    stop.store(true, Ordering::Relaxed);
    join_all(load).await.into_iter().flat_map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_in_use_is_never_taken_for_broken() {
    let app = Arc::new(TestApp::start().await);
    let stored = beside(&app, async || {
        for _ in 0..LOOKS {
            let report = super::verify(&app, &app.options).await;
            assert_eq!(names(&report), [""; 0], "{report:#?}");
        }
    });
    assert!(stored.await.len() > HUMANS);
    invariants::hold(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repair_beside_the_service_mends_what_is_broken_and_spoils_nothing() {
    let app = Arc::new(TestApp::start().await);
    let mut mended = Vec::new();
    let stored = beside(&app, async || {
        for _ in 0..LOOKS {
            // Each by itself, in nobody's way for long.
            for breaking in [
                "UPDATE conversations SET clear_total = clear_total + 5, blocked_total = 3, clear_latest_text = 'x'",
                "UPDATE lines SET active_connections = active_connections + 2",
                "DELETE FROM routes WHERE right(remote_number, 1) = '1'",
            ] {
                raw_sql(breaking).execute(&app.pool).await.unwrap();
            }
            mended.extend(verify::repair(&app.options, app.clock.now()).await.unwrap());
        }
    });
    let stored = stored.await;
    for name in [COUNTS, LINE, ROUTES] {
        assert!(mended.iter().any(|mended| mended.invariant == name), "{name}: {mended:?}");
    }
    // What was in someone's hands when it was its turn.
    verify::repair(&app.options, app.clock.now()).await.unwrap();
    invariants::hold(&app).await;
    let kept: Vec<String> = sqlx::query_scalar("SELECT id::text FROM messages WHERE direction = 1")
        .fetch_all(&app.pool)
        .await
        .unwrap();
    assert!(stored.len() > HUMANS && stored.iter().all(|id| kept.contains(id)));
    assert_eq!(stored.len(), kept.len());
}
