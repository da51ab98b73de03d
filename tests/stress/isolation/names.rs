//! What is unique beyond a tenant without being an id of ours: each kind of name that a request can hold, used by
//! another tenant, against one that nobody uses.

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::*;

use crate::isolation::answer::{Answer, ask};
use crate::isolation::contract::rpcs;
use crate::isolation::tenant::{HUMANS, Tenant};
use crate::isolation::world::World;
use crate::length;
use crate::support::app::POOL_LINES;
use crate::support::callers::Caller;
use crate::support::snapshot::everything;
use crate::support::{Human, assert_reason};

async fn answer(caller: &Caller, rpc: &str, request: serde_json::Value) -> Answer {
    let rpc = rpcs().into_iter().find(|one| one.name == rpc).unwrap();
    ask(caller, &rpc, &request).await
}

/// How many messages another organization has.
async fn messages_of(tenant: &Tenant) -> Vec<Message> {
    let request = ListMessagesRequest { limit: Some(200), ..Default::default() };
    tenant.admin.list_messages(request).await.unwrap().messages
}

#[tokio::test]
async fn anothers_idempotency_key_is_a_free_one() {
    let _shared = length::shared().await;
    let world = World::start().await;
    let theirs = messages_of(&world.foreign).await;
    let conversation = world.own.live(crate::isolation::contract::Kind::Conversation);
    for tenant in [&world.foreign, &world.sibling] {
        let request = SendMessageRequest {
            target: Some(Target::ConversationId(conversation.to_owned())),
            // The very words that were sent under it, and others.
            text: Some("hi".to_owned()),
            idempotency_key: Some(format!("key of {}", tenant.handle())),
            ..Default::default()
        };
        let sent = world.own.agent.send_message(request.clone()).await.unwrap().message.unwrap();
        assert_eq!(sent.conversation_id, conversation);
        let other = SendMessageRequest {
            text: Some("other words".to_owned()),
            idempotency_key: Some(format!("failing key of {}", tenant.handle())),
            ..request
        };
        world.own.agent.send_message(other).await.unwrap();
    }
    assert_eq!(messages_of(&world.foreign).await, theirs);
}

#[tokio::test]
async fn whom_another_tenant_knows_is_nobody_to_us() {
    let _shared = length::shared().await;
    let world = World::start().await;
    // Connected and has texted; blocked; released: to the other organization alone.
    for (number, what) in
        [("+15554440001", "connected"), ("+15554440002", "blocked"), ("+15554440003", "left")]
    {
        let human = Human::new(&world.app, number).await;
        human.converses(&world.foreign.identity, "hello").await;
        match what {
            "blocked" => {
                _ = crate::support::rows::block(&world.app.pool, &world.foreign.identity, number).await;
            }
            "left" => human.disconnects(&world.foreign.identity).await,
            _ => {}
        }
    }
    let before = everything(&world.app.pool).await;
    for (kind, caller) in [("admin", &world.own.admin), ("identity", &world.own.agent)] {
        let send = async |number: &str| {
            let request =
                serde_json::json!({ "to": number, "agent_identity_id": world.own.identity.id, "text": "hi" });
            answer(caller, "MessageService/SendMessage", request).await
        };
        let nobody = send("+15554449999").await;
        assert!(!nobody.is_ok());
        for number in ["+15554440001", "+15554440002", "+15554440003"] {
            assert_eq!(send(number).await, nobody, "{kind}: {number}");
        }
    }
    assert_eq!(everything(&world.app.pool).await, before);
}

#[tokio::test]
async fn anothers_contact_rule_leaves_its_number_free() {
    let _shared = length::shared().await;
    let world = World::start().await;
    // The others have rules for these; the own rule for it is taken away first.
    let own = ListContactRulesRequest::default();
    for rule in world.own.admin.list_contact_rules(own).await.unwrap().contact_rules {
        if rule.agent_identity_id == world.own.identity.id {
            let request = DeleteContactRuleRequest { contact_rule_id: rule.id };
            world.own.admin.delete_contact_rule(request).await.unwrap();
        }
    }
    let rules = async |number: &str| {
        let request = CreateContactRuleRequest {
            agent_identity_id: Some(world.own.identity.id.clone()),
            action: ContactRuleAction::Block.into(),
            match_target: number.to_owned(),
        };
        let rule = world.own.agent.create_contact_rule(request).await.unwrap().contact_rule.unwrap();
        ContactRule {
            id: String::new(),
            match_target: String::new(),
            created_at: None,
            updated_at: None,
            ..rule
        }
    };
    let nobodys = rules("+15554449999").await;
    for number in [HUMANS[2], "+15557770000"] {
        assert_eq!(rules(number).await, nobodys, "{number}");
    }
}

/// Handles are one space for the whole platform, since humans type them: that one is taken is told, and nothing else.
#[tokio::test]
async fn a_handle_that_is_taken_elsewhere_says_nothing_of_where() {
    let _shared = length::shared().await;
    let world = World::start().await;
    let off = world.foreign.things[&crate::isolation::contract::Kind::Identity][1].id.clone();
    let off = world
        .foreign
        .admin
        .get_identity(GetIdentityRequest { identity_id: off, ..Default::default() })
        .await
        .unwrap();
    let third = world.app.identity("org_third").await;
    let before = everything(&world.app.pool).await;
    let mut answers = Vec::new();
    for handle in [world.foreign.handle(), &off.identity.unwrap().agent_handle, &third.agent_handle] {
        let request = serde_json::json!({ "agent_handle": handle.to_uppercase() });
        answers.push(answer(&world.own.admin, "IdentityService/CreateIdentity", request).await);
        let typed = CreateIdentityRequest { agent_handle: handle.to_owned(), ..Default::default() };
        let details = assert_reason(world.own.admin.create_identity(typed).await, "ALREADY_EXISTS");
        assert_eq!(details.error_info().unwrap().metadata.get("existing_id"), None);
        assert_eq!(details.resource_info().unwrap().resource_name, "");
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(everything(&world.app.pool).await, before);
}

/// A carrier's id means something on its line alone, and a tapback on it something from its own human alone.
#[tokio::test]
async fn a_carriers_id_of_another_line_or_human_is_unknown() {
    let _shared = length::shared().await;
    let world = World::start().await;
    let [_, _, router, _] = world.askers();
    let before = everything(&world.app.pool).await;
    let own_line = world.own.thread.line.as_str();
    assert!(POOL_LINES.contains(&own_line));
    // What the foreign tenant sent goes by our own id at the sandbox.
    let sent = &world.foreign.things[&crate::isolation::contract::Kind::Message];
    let sent = &sent.iter().find(|thing| thing.state == "sent").unwrap().id;
    let news = async |id: &str| {
        let status = "DELIVERY_STATUS_DELIVERED";
        let request =
            serde_json::json!({ "line_number": own_line, "provider_message_id": id, "status": status });
        answer(&router.caller, "RouterService/UpdateDeliveryStatus", request).await
    };
    assert_eq!(news(sent).await, news("nothing has this id").await);
    let tapback = async |human: &str, id: &str| {
        let request = serde_json::json!({
            "line_number": own_line, "remote_number": human, "target_provider_message_id": id,
            "reaction": "REACTION_TYPE_LOVE",
        });
        answer(&router.caller, "RouterService/ReceiveReaction", request).await
    };
    for id in [sent.as_str(), &world.foreign.provider_id] {
        assert_eq!(tapback(HUMANS[0], id).await, tapback(HUMANS[0], "nothing").await);
    }
    // On the own line, another human's: the second human of the same tenant may be on another line than the first.
    let stranger = "+15554448888";
    assert_eq!(tapback(stranger, &world.own.provider_id).await, tapback(stranger, "nothing").await);
    assert_eq!(everything(&world.app.pool).await, before);
}

/// A text with a provider id that another line has already delivered is a text of its own.
#[tokio::test]
async fn a_text_is_no_redelivery_of_anothers() {
    let _shared = length::shared().await;
    let world = World::start().await;
    let [_, _, router, _] = world.askers();
    let request = ReceiveMessageRequest {
        line_number: world.own.thread.line.clone(),
        remote_number: HUMANS[0].to_owned(),
        text: Some("hello".to_owned()),
        provider_message_id: world.foreign.provider_id.clone(),
        ..Default::default()
    };
    let stored = router.caller.receive_message(request).await.unwrap();
    assert_eq!(stored.outcome(), ReceiveOutcome::Stored);
    assert_eq!(stored.connection_id, Some(world.own.thread.connection_id.clone()));
}
