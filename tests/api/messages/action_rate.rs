//! The limit on how often one identity may reach phones. At one action per minute, ten may happen at once, and a test
//! ends before there is another one.

use std::num::NonZeroU32;
use std::time::Duration;

use inkbox_imessage::proto::{
    Identity, MarkConversationReadRequest, ReactionType, SendTypingIndicatorRequest,
};
use tonic::Status;
use uuid::Uuid;

use super::send_reaction::{put, react, remove};
use super::{all_messages, deliveries, keyed, send, to_conversation};
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, assert_reason};

const BURST: usize = 10;

async fn app() -> TestApp {
    TestApp::with(|settings| settings.actions_per_minute = NonZeroU32::new(1)).await
}

/// An agent, its conversation, and the human's message in it.
async fn agent(app: &TestApp, number: &str) -> (Identity, Caller, String, String) {
    let identity = app.identity("org_a").await;
    let human = Human::new(app, number).await;
    let thread = human.connects(&identity).await;
    let said = human.says(&thread, "hello").await;
    let caller = app.agent(&identity).await;
    (identity, caller, said.conversation_id.unwrap(), said.message_id.unwrap())
}

async fn typing(agent: &Caller, id: &str) -> Result<(), Status> {
    let request = SendTypingIndicatorRequest { conversation_id: id.to_owned(), ..Default::default() };
    agent.send_typing_indicator(request).await.map(|_| ())
}

async fn receipt(agent: &Caller, id: &str) -> Result<(), Status> {
    let request = MarkConversationReadRequest { conversation_id: id.to_owned(), ..Default::default() };
    agent.mark_conversation_read(request).await.map(|_| ())
}

/// Asserts that an action was refused, with a retry delay of at most a minute.
#[track_caller]
fn assert_limited<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let delay = assert_reason(answer, "RATE_LIMITED").retry_info().unwrap().retry_delay.unwrap();
    assert!(delay > Duration::ZERO && delay <= Duration::from_mins(1), "{delay:?}");
}

#[tokio::test]
async fn a_burst_of_tapbacks_is_limited_and_other_identities_are_not() {
    let app = app().await;
    let (_, busy, _, message_id) = agent(&app, "+15551230001").await;
    let (_, other, other_id, _) = agent(&app, "+15551230002").await;
    let mut accepted = 0;
    for _ in 0..300 {
        match busy.send_reaction(put(&message_id, ReactionType::Love, 0)).await {
            Ok(_) => accepted += 1,
            refused => assert_limited(refused),
        }
    }
    assert_eq!(accepted, BURST);
    assert_eq!(deliveries(&app.admin("org_a").await).await.len(), BURST);
    typing(&other, &other_id).await.expect("another identity is not limited");
}

#[tokio::test]
async fn everything_that_reaches_a_phone_counts_and_nothing_is_stored_or_sent_beyond_the_limit() {
    let app = app().await;
    let (_, agent, id, message_id) = agent(&app, "+15551230001").await;
    for _ in 0..BURST / 5 {
        typing(&agent, &id).await.unwrap();
        receipt(&agent, &id).await.unwrap();
        send(&agent, &id, "hi").await;
        let reaction = react(&agent, &message_id, ReactionType::Love).await;
        remove(&agent, &reaction.id).await.unwrap();
        // A repetition does not reach the phone.
        remove(&agent, &reaction.id).await.unwrap();
    }
    let admin = app.admin("org_a").await;
    let stored = all_messages(&admin).await;
    for _ in 0..2 {
        assert_limited(typing(&agent, &id).await);
        assert_limited(receipt(&agent, &id).await);
        assert_limited(agent.send_message(keyed(to_conversation(&id, "no"), "key")).await);
        assert_limited(agent.send_reaction(put(&message_id, ReactionType::Like, 0)).await);
    }
    assert_eq!(deliveries(&admin).await.len(), BURST);
    assert_eq!(all_messages(&admin).await, stored);
}

#[tokio::test]
async fn removals_of_tapbacks_are_limited() {
    let app = app().await;
    let (_, agent, id, message_id) = agent(&app, "+15551230001").await;
    let reaction = react(&agent, &message_id, ReactionType::Love).await;
    for _ in 1..BURST {
        typing(&agent, &id).await.unwrap();
    }
    assert_limited(remove(&agent, &reaction.id).await);
}

#[tokio::test]
async fn actions_that_are_refused_for_other_reasons_do_not_count_and_their_reasons_come_first() {
    let app = app().await;
    let (identity, agent, id, message_id) = agent(&app, "+15551230001").await;
    let former = Human::new(&app, "+15551230002").await;
    let (_, released) = former.converses(&identity, "hello").await;
    former.disconnects(&identity).await;
    let unknown = Uuid::from_u128(1).to_string();
    for _ in 0..BURST {
        assert_reason(typing(&agent, &released).await, "CONNECTION_RELEASED");
        assert_reason(receipt(&agent, &unknown).await, "NOT_FOUND");
        assert_reason(agent.send_message(to_conversation(&released, "no")).await, "CONNECTION_RELEASED");
    }
    for _ in 0..BURST {
        typing(&agent, &id).await.unwrap();
    }
    assert_limited(agent.send_reaction(put(&message_id, ReactionType::Love, 0)).await);
    assert_reason(typing(&agent, &released).await, "CONNECTION_RELEASED");
    assert_reason(receipt(&agent, &unknown).await, "NOT_FOUND");
}
