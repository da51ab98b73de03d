//! A discard that waits for locks of the test while a connect or a send happens.

use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::proto::{Identity, ReactionType, ReceiveOutcome, ReceiveReactionRequest};
use inkbox_imessage::store::retention::{DiscardOutcome, Participants, discard};

use super::{RELEASED, clean_up};
use crate::messages::{keyed, messages_of, texts, to_number};
use crate::support::history::History;
use crate::support::locks::{commit, holding, until_waiting};
use crate::support::snapshot::{everything, numbers};
use crate::support::{Human, TestApp, assert_reason, invariants};

fn pair(identity: &Identity, human: &Human) -> Participants {
    Participants {
        organization_id: identity.organization_id.as_str().into(),
        identity_id: uuid::Uuid::try_parse(&identity.id).unwrap().into(),
        remote_number: human.number.clone().into(),
    }
}

#[tokio::test]
async fn a_connect_before_the_discard_keeps_everything() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    app.clock.advance(TimeDelta::days(31));
    // Its line is not the least loaded any more. On the same line, connect and discard would wait for each other earlier.
    Human::new(&app, "+15551230002").await.connects(&identity).await;
    let lock = "SELECT id FROM conversations WHERE organization_id = 'org_a' AND id = $1 FOR UPDATE";
    let held = holding(&app, lock, &history.conversation_id).await;
    // The new connection is inserted but not committed yet.
    let connecting = tokio::spawn({
        let (human, identity) = (human.clone(), identity.clone());
        async move { human.connects(&identity).await }
    });
    until_waiting(&app, 1).await;
    let parts = app.parts.clone();
    let cleaning = tokio::spawn(async move { cleanup::run_once(&parts, RELEASED).await });
    until_waiting(&app, 2).await;
    commit(held).await;
    let thread = connecting.await.unwrap();
    assert_ne!(thread.line, history.thread.line);
    cleaning.await.unwrap().unwrap();
    let said = human.says(&thread, "back").await;
    assert_eq!(said.conversation_id, Some(history.conversation_id));
    invariants::hold(&app).await;
}

#[tokio::test]
async fn a_connect_after_the_discard_gets_a_new_conversation() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    app.clock.advance(TimeDelta::days(31));
    // The cleanup has locked the connections when it waits for this row.
    let lock = "SELECT id FROM conversations WHERE organization_id = 'org_a' AND id = $1 FOR UPDATE";
    let held = holding(&app, lock, &history.conversation_id).await;
    let parts = app.parts.clone();
    let cleaning = tokio::spawn(async move { cleanup::run_once(&parts, RELEASED).await });
    until_waiting(&app, 1).await;
    let connecting = tokio::spawn({
        let (human, identity) = (human.clone(), identity.clone());
        async move { human.connects(&identity).await }
    });
    until_waiting(&app, 2).await;
    commit(held).await;
    let thread = connecting.await.unwrap();
    cleaning.await.unwrap().unwrap();
    let said = human.says(&thread, "back").await;
    assert_eq!(said.outcome(), ReceiveOutcome::Stored);
    let id = said.conversation_id.unwrap();
    assert_ne!(id, history.conversation_id);
    assert_eq!(texts(&messages_of(&admin, &id).await), ["back"]);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn a_pair_that_reconnected_and_disconnected_after_it_was_listed_is_kept() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    let before = everything(&app.pool).await;
    let now = app.clock.now();
    let done = discard(&app.parts.db, pair(&identity, &human), Some(now - TimeDelta::days(30)), now).await;
    assert_eq!(done.unwrap(), DiscardOutcome::StillConnected);
    assert_eq!(everything(&app.pool).await, before);
}

#[tokio::test]
async fn a_send_in_flight_keeps_its_pair() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let history = History::between(&app, &human, &identity).await;
    human.disconnects(&identity).await;
    app.clock.advance(TimeDelta::days(31));
    let busy = "UPDATE messages SET in_flight_until = now() + interval '1 minute' WHERE id = $1";
    commit(holding(&app, busy, &history.sent_id).await).await;
    clean_up(&app, RELEASED).await;
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM messages").await, [3]);
    let lapsed = "UPDATE messages SET in_flight_until = now() - interval '1 minute' WHERE id = $1";
    commit(holding(&app, lapsed, &history.sent_id).await).await;
    clean_up(&app, RELEASED).await;
    assert_eq!(numbers(&app.pool, "SELECT count(*) FROM messages").await, [0]);
}

#[tokio::test]
async fn a_tapback_on_a_concurrently_deleted_message_finds_no_message() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let text = human.text(&thread.line, "hello");
    let id = human.router.receive_message(text.clone()).await.unwrap().message_id.unwrap();
    let held = holding(&app, "DELETE FROM messages WHERE id = $1", &id).await;
    let tapback = tokio::spawn({
        let (router, line_number, remote_number) = (human.router.clone(), thread.line, human.number.clone());
        let request = ReceiveReactionRequest {
            line_number,
            remote_number,
            target_provider_message_id: text.provider_message_id,
            reaction: ReactionType::Love.into(),
            ..Default::default()
        };
        async move { router.receive_reaction(request).await }
    });
    until_waiting(&app, 1).await;
    commit(held).await;
    assert_reason(tapback.await.unwrap(), "NOT_FOUND");
}

#[tokio::test]
async fn an_idempotency_key_is_held_until_its_message_is_deleted() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let human = Human::new(&app, "+15551230001").await;
    human.converses(&identity, "hello").await;
    let request = keyed(to_number(&human.number, None, "hi"), "key");
    let first = agent.send_message(request.clone()).await.unwrap().message.unwrap();
    human.disconnects(&identity).await;
    discard(&app.parts.db, pair(&identity, &human), None, app.clock.now()).await.unwrap();
    human.converses(&identity, "back").await;
    // Its message must be neither returned nor sent a second time.
    assert_reason(agent.send_message(request.clone()).await, "IDEMPOTENCY_IN_PROGRESS");
    clean_up(&app, Retention::default()).await;
    let second = agent.send_message(request).await.unwrap().message.unwrap();
    assert_ne!(second.id, first.id);
    invariants::hold(&app).await;
}
