//! A human who writes STOP gets nothing more until START, or until they connect again.

use std::time::Duration;

use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::{ConversationId, IdentityId};
use inkbox_imessage::proto::{
    Conversation, GetConversationRequest, ListConversationsRequest, MarkConversationReadRequest,
    ReactionType, ReceiveMessageRequest, ReceiveOutcome, RemoveReactionRequest, SendReactionRequest,
    SendTypingIndicatorRequest,
};
use inkbox_imessage::store::messages::{NewOutbound, Reservation, reserve};
use prost_types::Timestamp;
use tonic::Code;

use crate::messages::{deliveries, keyed, messages_of, send, texts, to_conversation, to_number};
use crate::support::callers::Caller;
use crate::support::{Human, Scene, assert_reason, eventually, rows};

async fn conversation(agent: &Caller, id: &str) -> Conversation {
    let request = GetConversationRequest { conversation_id: id.to_owned(), ..Default::default() };
    agent.get_conversation(request).await.unwrap().conversation.unwrap()
}

async fn is_opted_out(agent: &Caller, id: &str) -> bool {
    let opted_out_at = conversation(agent, id).await.opted_out_at;
    let list = agent.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations;
    let listed = list.iter().find(|row| row.id == id).unwrap();
    assert_eq!(listed.opted_out_at, opted_out_at, "a list shows the same");
    opted_out_at.is_some()
}

#[tokio::test]
async fn stop_is_stored_and_ends_messages_reactions_and_typing_but_not_receipts() {
    let Scene { app: _app, human, thread, conversation_id: id, admin, agent, .. } = Scene::start().await;
    let message = messages_of(&agent, &id).await.remove(0);
    let react = || SendReactionRequest {
        message_id: message.id.clone(),
        reaction: ReactionType::Love.into(),
        ..Default::default()
    };
    let reaction_id = agent.send_reaction(react()).await.unwrap().reaction.unwrap().id;
    assert_eq!(human.says(&thread, "Stop.").await.outcome(), ReceiveOutcome::Stored);
    assert_eq!(texts(&messages_of(&agent, &id).await)[0], "Stop.");
    assert!(is_opted_out(&agent, &id).await);

    let before = deliveries(&admin).await.len();
    let typing = SendTypingIndicatorRequest { conversation_id: id.clone(), ..Default::default() };
    let key = keyed(to_conversation(&id, "hi"), "key");
    for refused in [
        agent.send_message(key.clone()).await.map(drop),
        agent.send_message(to_number(&human.number, None, "hi")).await.map(drop),
        agent.send_reaction(react()).await.map(drop),
        agent.remove_reaction(RemoveReactionRequest { reaction_id }).await.map(drop),
        agent.send_typing_indicator(typing.clone()).await.map(drop),
    ] {
        assert_eq!(refused.as_ref().unwrap_err().code(), Code::FailedPrecondition);
        assert_reason(refused, "RECIPIENT_OPTED_OUT");
    }
    assert_eq!(deliveries(&admin).await.len(), before, "nothing reached the phone");
    let mark = MarkConversationReadRequest { conversation_id: id.clone(), ..Default::default() };
    assert_eq!(agent.mark_conversation_read(mark).await.unwrap().updated_count, 2);

    human.says(&thread, "START").await;
    assert!(!is_opted_out(&agent, &id).await);
    agent.send_message(key).await.unwrap();
    agent.send_typing_indicator(typing).await.unwrap();
}

#[tokio::test]
async fn each_keyword_opts_out_and_each_other_one_back_in() {
    let Scene { app: _app, human, thread, conversation_id: id, agent, .. } = Scene::start().await;
    let stops = ["STOP", "stopall", "Unsubscribe", "CANCEL", "end", "“QUIT”", "ARRÊT", "parar", "ALTO"];
    for (at, stop) in stops.into_iter().enumerate() {
        human.says(&thread, stop).await;
        assert!(is_opted_out(&agent, &id).await, "{stop}");
        human.says(&thread, "hello again").await;
        assert!(is_opted_out(&agent, &id).await, "another text does not opt in");
        let start = ["START", "unstop", "Yes!"][at % 3];
        human.says(&thread, start).await;
        assert!(!is_opted_out(&agent, &id).await, "{start}");
    }
    for text in ["please stop it", "the end", "yes, stop", "canceled"] {
        human.says(&thread, text).await;
        assert!(!is_opted_out(&agent, &id).await, "{text}");
    }
}

#[tokio::test]
async fn the_first_text_may_be_a_stop() {
    let Scene { app, agent, identity, .. } = Scene::start().await;
    let human = Human::new(&app, "+15551230009").await;
    let (_, id) = human.converses(&identity, "STOP").await;
    assert!(is_opted_out(&agent, &id).await);
    assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "RECIPIENT_OPTED_OUT");
}

#[tokio::test]
async fn it_holds_for_one_identity_and_one_human() {
    let Scene { app, human, thread, conversation_id: id, agent, .. } = Scene::start().await;
    let other = app.identity("org_a").await;
    let (_, with_other) = human.converses(&other, "hello").await;
    human.says(&thread, "STOP").await;
    assert!(is_opted_out(&agent, &id).await);
    send(&app.agent(&other).await, &with_other, "hi").await;
}

#[tokio::test]
async fn connecting_again_opts_in_with_and_without_a_disconnect() {
    let Scene { app: _app, human, thread, conversation_id: id, identity, agent, .. } = Scene::start().await;
    human.says(&thread, "STOP").await;
    assert_eq!(human.connects(&identity).await.connection_id, thread.connection_id);
    assert!(!is_opted_out(&agent, &id).await, "the command asks for messages");
    send(&agent, &id, "hi").await;

    human.says(&thread, "STOP").await;
    human.disconnects(&identity).await;
    assert!(is_opted_out(&agent, &id).await);
    assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "CONNECTION_RELEASED");
    let thread = human.connects(&identity).await;
    assert!(!is_opted_out(&agent, &id).await);
    assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "RECIPIENT_HAS_NOT_MESSAGED");
    human.says(&thread, "hello").await;
    send(&agent, &id, "hi").await;
}

#[tokio::test]
async fn the_keyword_that_was_sent_later_counts() {
    let Scene { app, human, thread, conversation_id: id, agent, .. } = Scene::start().await;
    let now = app.clock.now();
    let at = async |words: &str, seconds: i64| {
        let sent_at = now - TimeDelta::seconds(100) + TimeDelta::seconds(seconds);
        let sent_at = Some(Timestamp { seconds: sent_at.timestamp(), nanos: 0 });
        let text = ReceiveMessageRequest { sent_at, ..human.text(&thread.line, words) };
        human.router.receive_message(text).await.unwrap();
        is_opted_out(&agent, &id).await
    };
    assert!(at("STOP", 20).await);
    assert!(at("START", 10).await, "sent before the stop");
    assert!(at("STOP", 5).await);
    assert!(!at("START", 20).await, "sent in the same second, and delivered later");
}

/// To this human every message takes a while.
const SLOW_HUMAN: &str = "+15005550003";

#[tokio::test]
async fn a_message_that_waits_while_the_stop_is_stored_is_refused() {
    let Scene { app: _app, human, thread, conversation_id: id, admin, agent, .. } =
        Scene::with_human(SLOW_HUMAN).await;
    let first = tokio::spawn({
        let (agent, id) = (agent.clone(), id.clone());
        async move { send(&agent, &id, "first").await }
    });
    eventually("the line has the first message", async || {
        (!deliveries(&admin).await.is_empty()).then_some(())
    })
    .await;
    let (second, _) =
        tokio::join!(agent.send_message(to_conversation(&id, "second")), human.says(&thread, "STOP"));
    assert_reason(second, "RECIPIENT_OPTED_OUT");
    first.await.unwrap();
    assert_eq!(texts(&messages_of(&agent, &id).await), ["STOP", "first", "hello"]);
}

#[tokio::test]
async fn the_statement_that_stores_a_message_to_send_repeats_the_check() {
    let Scene { app, human, thread, conversation_id: id, identity, agent, .. } = Scene::start().await;
    let new = |conversation_id: ConversationId| NewOutbound {
        organization_id: "org_a".into(),
        identity_id: identity.id.parse::<uuid::Uuid>().map(IdentityId::from).unwrap(),
        conversation_id,
        assignment_id: thread.connection_id.parse::<uuid::Uuid>().unwrap().into(),
        line_number: thread.line.clone().into(),
        message_id: app.clock.new_id().into(),
        text: Some("hi".to_owned()),
        media: None,
        send_style: None,
        reply_to: None,
        idempotency_key: None,
        per_day: None,
        now: app.clock.now(),
        longest: Duration::from_secs(5),
    };
    let conversation_id = id.parse::<uuid::Uuid>().unwrap().into();
    let reserved = reserve(&app.parts.db, new(conversation_id)).await.unwrap();
    assert_eq!(reserved, Reservation::Acquired);
    human.says(&thread, "STOP").await;
    let reserved = reserve(&app.parts.db, new(conversation_id)).await.unwrap();
    assert_eq!(reserved, Reservation::Ineligible);
    assert_eq!(messages_of(&agent, &id).await.len(), 3);
}

#[tokio::test]
async fn a_stop_of_a_blocked_human_counts_after_the_block() {
    let Scene { app, human, thread, conversation_id: id, identity, agent, .. } = Scene::start().await;
    rows::block(&app.pool, &identity, &human.number).await;
    let before = conversation(&agent, &id).await;
    assert_eq!(human.says(&thread, "STOP").await.outcome(), ReceiveOutcome::StoredBlocked);
    assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "RECIPIENT_BLOCKED");
    let after = conversation(&agent, &id).await;
    assert!(after.opted_out_at.is_some());
    assert_eq!(Conversation { opted_out_at: None, ..after }, before, "no other trace");
    rows::remove_rules(&app.pool, &identity).await;
    assert_reason(agent.send_message(to_conversation(&id, "hi")).await, "RECIPIENT_OPTED_OUT");
}
