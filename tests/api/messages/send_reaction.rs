use inkbox_imessage::proto::{
    DeliveryKind, Message, MessageDirection, Reaction, ReactionType, ReceiveReactionRequest,
    RemoveReactionRequest, SendReactionRequest, UpdateIdentityRequest,
};
use tonic::Status;
use uuid::Uuid;

use super::{all_messages, delivered, deliveries, messages_of};
use crate::support::assertions::assert_alike;
use crate::support::callers::Caller;
use crate::support::{Human, Scene, TestApp, assert_fields, assert_reason, rows};

pub(super) fn put(message_id: &str, reaction: ReactionType, part_index: i32) -> SendReactionRequest {
    SendReactionRequest { message_id: message_id.to_owned(), reaction: reaction.into(), part_index }
}

pub(super) async fn react(caller: &Caller, message_id: &str, reaction: ReactionType) -> Reaction {
    caller.send_reaction(put(message_id, reaction, 0)).await.unwrap().reaction.unwrap()
}

pub(super) async fn remove(caller: &Caller, reaction_id: &str) -> Result<(), Status> {
    caller.remove_reaction(RemoveReactionRequest { reaction_id: reaction_id.to_owned() }).await.map(drop)
}

async fn enable(admin: &Caller, identity_id: &str, enabled: bool) {
    let request = UpdateIdentityRequest {
        identity_id: identity_id.to_owned(),
        imessage_enabled: Some(enabled),
        ..Default::default()
    };
    admin.update_identity(request).await.unwrap();
}

pub(super) fn live(messages: &[Message]) -> Vec<ReactionType> {
    messages.iter().flat_map(|message| &message.reactions).map(Reaction::reaction).collect()
}

#[tokio::test]
async fn a_reaction_reaches_the_line_and_shows_on_its_message() {
    let Scene { app: _app, conversation_id: id, message_id, human, admin, agent, .. } = Scene::start().await;

    let answer = agent.send_reaction(put(&message_id, ReactionType::Emphasize, 3)).await.unwrap();
    let reaction = answer.reaction.unwrap();
    assert_eq!(reaction.direction(), MessageDirection::Outbound);
    assert_eq!(reaction.reaction(), ReactionType::Emphasize);
    assert_eq!((&reaction.conversation_id, &reaction.message_id), (&id, &message_id));
    assert_eq!((reaction.part_index, &reaction.custom_emoji), (3, &None));
    assert_eq!((&reaction.remote_number, &reaction.updated_at), (&human.number, &reaction.created_at));
    let again = agent.send_reaction(put(&message_id, ReactionType::Emphasize, 3)).await.unwrap();
    assert_eq!(again.reaction.as_ref(), Some(&reaction));
    assert_eq!(messages_of(&agent, &id).await[0].reactions, [reaction]);
    assert_eq!(
        delivered(&admin, &id).await,
        [(DeliveryKind::Reaction, None), (DeliveryKind::Reaction, None)]
    );
}

#[tokio::test]
async fn a_second_reaction_on_the_same_part_replaces_the_first() {
    let Scene { app: _app, conversation_id: id, message_id, agent, .. } = Scene::start().await;
    let first = react(&agent, &message_id, ReactionType::Love).await;
    let second = react(&agent, &message_id, ReactionType::Like).await;
    assert_ne!(first.id, second.id);
    let other_part = agent.send_reaction(put(&message_id, ReactionType::Eyes, 1)).await.unwrap();
    let shown = messages_of(&agent, &id).await.swap_remove(0).reactions;
    assert_eq!(shown, [second, other_part.reaction.unwrap()]);
}

#[tokio::test]
async fn each_side_has_a_reaction_of_its_own() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let text = human.text(&thread.line, "hello");
    let message_id = human.router.receive_message(text.clone()).await.unwrap().message_id.unwrap();
    let agent = app.agent(&identity).await;
    react(&agent, &message_id, ReactionType::Love).await;
    let inbound = ReceiveReactionRequest {
        line_number: thread.line,
        remote_number: human.number.clone(),
        target_provider_message_id: text.provider_message_id,
        reaction: ReactionType::Laugh.into(),
        ..Default::default()
    };
    human.router.receive_reaction(inbound).await.unwrap();
    let shown = all_messages(&agent).await.swap_remove(0).reactions;
    assert!(shown.iter().all(|one| one.remote_number == human.number && one.updated_at == one.created_at));
    assert_eq!(live(&all_messages(&agent).await), [ReactionType::Love, ReactionType::Laugh]);
}

#[tokio::test]
async fn reactions_at_the_same_time_leave_one_live() {
    let Scene { app: _app, conversation_id: id, message_id, agent, .. } = Scene::start().await;
    let calls: Vec<_> = (1..=7)
        .map(|number| {
            let (agent, message_id) = (agent.clone(), message_id.clone());
            tokio::spawn(async move {
                react(&agent, &message_id, ReactionType::try_from(number).unwrap()).await;
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(live(&messages_of(&agent, &id).await).len(), 1);
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let unknown = Uuid::from_u128(1).to_string();
    let bad = SendReactionRequest { message_id: String::new(), reaction: 0, part_index: -1 };
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        let fields = ["message_id", "reaction", "part_index"];
        assert_fields(caller.send_reaction(bad.clone()).await, &fields);
        for reaction in [0, ReactionType::Custom.into(), 9, -1] {
            let request = SendReactionRequest { message_id: unknown.clone(), reaction, part_index: 0 };
            assert_fields(caller.send_reaction(request).await, &["reaction"]);
        }
        for part_index in [-1, 32, i32::MAX] {
            assert_fields(
                caller.send_reaction(put(&unknown, ReactionType::Like, part_index)).await,
                &["part_index"],
            );
        }
        assert_fields(remove(&caller, "").await, &["reaction_id"]);
    }
    let router = app.router().await;
    assert_reason(router.send_reaction(put(&unknown, ReactionType::Like, 31)).await, "SCOPE_INSUFFICIENT");
    assert_reason(remove(&router, &unknown).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().send_reaction(bad).await, "API_KEY_INVALID");
    assert_reason(remove(&app.stranger(), "").await, "API_KEY_INVALID");
}

#[tokio::test]
async fn what_the_caller_may_not_see_reads_like_what_does_not_exist() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let mut seen = Vec::new();
    for identity in [&sibling, &foreign] {
        human.converses(identity, "hello").await;
        let agent = app.agent(identity).await;
        let message_id = all_messages(&agent).await[0].id.clone();
        let reaction_id = react(&agent, &message_id, ReactionType::Like).await.id;
        seen.push((message_id, reaction_id));
    }
    let thread = human.connects(&mine).await;
    rows::block(&app.pool, &mine, &human.number).await;
    let blocked = human.says(&thread, "let me in").await.message_id.unwrap();
    rows::remove_rules(&app.pool, &mine).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    let unknown = Uuid::from_u128(1).to_string();

    let answer = agent.send_reaction(put(&unknown, ReactionType::Like, 0)).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    for id in [&seen[0].0, &seen[1].0, &blocked] {
        assert_alike(agent.send_reaction(put(id, ReactionType::Like, 0)).await, answer.clone());
    }
    assert_alike(admin.send_reaction(put(&seen[1].0, ReactionType::Like, 0)).await, answer);
    let answer = remove(&agent, &unknown).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    assert_alike(remove(&agent, &seen[0].1).await, answer.clone());
    assert_alike(remove(&agent, &seen[1].1).await, answer.clone());
    assert_alike(remove(&admin, &seen[1].1).await, answer);
    assert_eq!(deliveries(&admin).await.len(), 1, "that of the sibling itself");
}

#[tokio::test]
async fn refusals_are_told_in_their_order_and_leave_nothing_behind() {
    let Scene { app, identity, human, conversation_id: id, message_id, admin, agent, .. } =
        Scene::start().await;
    let reaction_id = react(&agent, &message_id, ReactionType::Love).await.id;
    let request = put(&message_id, ReactionType::Like, 0);
    human.disconnects(&identity).await;
    let rule = rows::block(&app.pool, &identity, &human.number).await;
    enable(&admin, &identity.id, false).await;

    assert_reason(agent.send_reaction(request.clone()).await, "IDENTITY_NOT_ENABLED");
    assert_reason(remove(&agent, &reaction_id).await, "IDENTITY_NOT_ENABLED");
    enable(&admin, &identity.id, true).await;
    for answer in [agent.send_reaction(request.clone()).await.map(drop), remove(&agent, &reaction_id).await] {
        let details = assert_reason(answer, "RECIPIENT_BLOCKED");
        assert_eq!(details.error_info().unwrap().metadata["matched_rule_id"], rule.to_string());
    }
    rows::remove_rules(&app.pool, &identity).await;
    assert_reason(agent.send_reaction(request.clone()).await, "CONNECTION_RELEASED");
    assert_reason(remove(&agent, &reaction_id).await, "CONNECTION_RELEASED");
    assert_eq!(live(&messages_of(&agent, &id).await), [ReactionType::Love]);
    assert_eq!(deliveries(&admin).await.len(), 1, "the first reaction alone");
}

#[tokio::test]
async fn a_message_of_an_earlier_connection_takes_no_reaction_and_gives_none_back() {
    let Scene { app: _app, identity, human, conversation_id: id, message_id, admin, agent, .. } =
        Scene::start().await;
    let reaction_id = react(&agent, &message_id, ReactionType::Love).await.id;
    human.disconnects(&identity).await;
    human.converses(&identity, "back").await;
    let request = put(&message_id, ReactionType::Like, 0);
    assert_reason(agent.send_reaction(request).await, "CONNECTION_RELEASED");
    assert_reason(remove(&agent, &reaction_id).await, "CONNECTION_RELEASED");
    assert_eq!(live(&messages_of(&agent, &id).await), [ReactionType::Love]);
    assert_eq!(deliveries(&admin).await.len(), 1, "the first reaction alone");
}

#[tokio::test]
async fn a_human_who_reconnected_has_to_text_before_a_reaction() {
    let Scene { app, identity, human, conversation_id: id, agent, .. } = Scene::start().await;
    human.disconnects(&identity).await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    let blocked = human.says(&thread, "blocked").await.message_id.unwrap();
    rows::remove_rules(&app.pool, &identity).await;
    let admin = app.admin("org_a").await;
    let answer = admin.send_reaction(put(&blocked, ReactionType::Like, 0)).await;
    assert_reason(answer, "RECIPIENT_HAS_NOT_MESSAGED");
    let id = human.says(&thread, "back").await.message_id.unwrap_or(id);
    react(&agent, &id, ReactionType::Like).await;
}

#[tokio::test]
async fn a_reaction_that_the_line_did_not_take_is_nowhere_and_the_old_one_stays() {
    let Scene { app: _app, conversation_id: id, message_id, agent, .. } =
        Scene::with_human("+15005550002").await;
    let failing = || agent.send_reaction(put(&message_id, ReactionType::Like, 0));
    assert_reason(failing().await, "UPSTREAM_FAILED");
    assert_eq!(live(&messages_of(&agent, &id).await), []);
    let first = react(&agent, &message_id, ReactionType::Love).await;
    assert_reason(failing().await, "UPSTREAM_FAILED");
    assert_eq!(messages_of(&agent, &id).await[0].reactions, [first]);
}
