use inkbox_imessage::proto::{DeliveryKind, ReactionType, ReceiveReactionRequest};

use super::send_reaction::{live, put, react, remove};
use super::{all_messages, delivered, deliveries, messages_of};
use crate::support::{Human, Scene, TestApp, assert_reason};

#[tokio::test]
async fn removing_twice_succeeds_and_calls_the_line_once() {
    let Scene { app: _app, conversation_id: id, message_id, admin, agent, .. } = Scene::start().await;
    let reaction = react(&agent, &message_id, ReactionType::Love).await;
    remove(&agent, &reaction.id).await.unwrap();
    assert_eq!(live(&messages_of(&agent, &id).await), []);
    remove(&agent, &reaction.id).await.unwrap();
    remove(&admin, &reaction.id).await.unwrap();
    let expected = [(DeliveryKind::Reaction, None), (DeliveryKind::ReactionRemoval, None)];
    assert_eq!(delivered(&admin, &id).await, expected);
}

#[tokio::test]
async fn removing_a_replaced_reaction_leaves_the_one_that_replaced_it() {
    let Scene { app: _app, conversation_id: id, message_id, admin, agent, .. } = Scene::start().await;
    let first = react(&agent, &message_id, ReactionType::Love).await;
    react(&agent, &message_id, ReactionType::Like).await;
    remove(&agent, &first.id).await.unwrap();
    assert_eq!(live(&messages_of(&agent, &id).await), [ReactionType::Like]);
    assert_eq!(deliveries(&admin).await.len(), 2, "no removal reached the line");
}

#[tokio::test]
async fn removals_at_the_same_time_call_the_line_once() {
    let Scene { app: _app, message_id, admin, agent, .. } = Scene::start().await;
    let reaction = react(&agent, &message_id, ReactionType::Love).await;
    let calls: Vec<_> = (0..6)
        .map(|_| {
            let (agent, id) = (agent.clone(), reaction.id.clone());
            tokio::spawn(async move { remove(&agent, &id).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(deliveries(&admin).await.len(), 2);
}

#[tokio::test]
async fn a_removal_that_the_line_did_not_take_leaves_the_reaction() {
    let Scene { app: _app, conversation_id: id, message_id, agent, .. } =
        Scene::with_human("+15005550002").await;
    let request = put(&message_id, ReactionType::Love, 0);
    assert_reason(agent.send_reaction(request).await, "UPSTREAM_FAILED");
    let reaction = react(&agent, &message_id, ReactionType::Love).await;
    assert_reason(remove(&agent, &reaction.id).await, "UPSTREAM_FAILED");
    assert_eq!(live(&messages_of(&agent, &id).await), [ReactionType::Love]);
    remove(&agent, &reaction.id).await.unwrap();
    assert_eq!(live(&messages_of(&agent, &id).await), []);
}

#[tokio::test]
async fn the_humans_reaction_is_not_the_agents_to_remove() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let text = human.text(&thread.line, "hello");
    human.router.receive_message(text.clone()).await.unwrap();
    let inbound = ReceiveReactionRequest {
        line_number: thread.line,
        remote_number: human.number,
        target_provider_message_id: text.provider_message_id,
        reaction: ReactionType::Laugh.into(),
        ..Default::default()
    };
    let id = human.router.receive_reaction(inbound).await.unwrap().reaction_id.unwrap();
    let admin = app.admin("org_a").await;
    for caller in [&admin, &app.agent(&identity).await] {
        assert_reason(remove(caller, &id).await, "SCOPE_INSUFFICIENT");
        assert_eq!(live(&all_messages(caller).await), [ReactionType::Laugh]);
    }
    assert_eq!(deliveries(&admin).await.len(), 0);
}
