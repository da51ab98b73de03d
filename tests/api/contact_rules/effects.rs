use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, DeleteContactRuleRequest, FilterMode, MarkConversationReadRequest,
    ReceiveOutcome, SendTypingIndicatorRequest, UpdateContactRuleRequest, UpdateIdentityRequest,
};

use super::create;
use crate::messages::{all_messages, deliveries, send, texts, to_conversation};
use crate::support::{Human, TestApp, assert_reason};

#[tokio::test]
async fn a_rule_decides_by_mode_action_and_status_over_texts_calls_and_connects() {
    use ContactRuleAction::{Allow, Block};
    use ContactRuleStatus::{Active, Paused};
    use FilterMode::{Blacklist, Whitelist};

    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    let rule = create(&admin, &identity, Block, &human.number).await;
    let table = [
        (Blacklist, Block, Active, Some(true)),
        (Blacklist, Block, Paused, None),
        (Blacklist, Allow, Active, None),
        (Blacklist, Allow, Paused, None),
        (Whitelist, Allow, Active, None),
        (Whitelist, Allow, Paused, Some(false)),
        (Whitelist, Block, Active, Some(false)),
        (Whitelist, Block, Paused, Some(false)),
    ];
    for (mode, action, status, blocked) in table {
        let case = format!("{mode:?} {action:?} {status:?}");
        let update = UpdateContactRuleRequest {
            contact_rule_id: rule.id.clone(),
            action: action.into(),
            status: status.into(),
        };
        admin.update_contact_rule(update).await.unwrap();
        let filter = UpdateIdentityRequest {
            identity_id: identity.id.clone(),
            filter_mode: mode.into(),
            ..Default::default()
        };
        admin.update_identity(filter).await.unwrap();

        let outcome = human.says(&thread, &case).await.outcome();
        let connecting = human.commands(&format!("connect @{}", identity.agent_handle)).await.outcome();
        let sent = agent.send_message(to_conversation(&id, &case)).await.map(drop);
        let typing = SendTypingIndicatorRequest { conversation_id: id.clone(), ..Default::default() };
        let typed = agent.send_typing_indicator(typing).await.map(drop);
        let mark = MarkConversationReadRequest { conversation_id: id.clone(), ..Default::default() };
        let marked = agent.mark_conversation_read(mark).await.map(drop);
        match blocked {
            None => {
                assert_eq!(outcome, ReceiveOutcome::Stored, "{case}");
                assert_eq!(connecting, ReceiveOutcome::Connected, "{case}");
                assert!(sent.is_ok() && typed.is_ok() && marked.is_ok(), "{case}");
            }
            Some(by_the_rule) => {
                assert_eq!(outcome, ReceiveOutcome::StoredBlocked, "{case}");
                assert_eq!(connecting, ReceiveOutcome::Refused, "{case}");
                for answer in [sent, typed, marked] {
                    let details = assert_reason(answer, "RECIPIENT_BLOCKED");
                    let named = details.error_info().unwrap().metadata.get("matched_rule_id").cloned();
                    assert_eq!(named, by_the_rule.then(|| rule.id.clone()), "{case}");
                }
            }
        }
    }
    // Four cases let three calls through each.
    assert_eq!(deliveries(&admin).await.len(), 12);
}

#[tokio::test]
async fn what_was_blocked_stays_blocked_and_what_was_clear_stays_clear() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "before the rule").await;
    let rule = create(&admin, &identity, ContactRuleAction::Block, &human.number).await;
    human.says(&thread, "under the rule").await;
    assert_eq!(texts(&all_messages(&agent).await), ["before the rule"]);
    admin.delete_contact_rule(DeleteContactRuleRequest { contact_rule_id: rule.id }).await.unwrap();
    human.says(&thread, "after the rule").await;
    assert_eq!(texts(&all_messages(&agent).await), ["after the rule", "before the rule"]);
    let seen_by_admin = all_messages(&admin).await;
    let blocked: Vec<_> = seen_by_admin.iter().map(|message| message.is_blocked).collect();
    assert_eq!(blocked, [false, true, false]);
}

#[tokio::test]
async fn a_rule_is_for_one_identity_and_one_number_alone() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    let admin = app.admin("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (blocked, id) = human.converses(&one, "hello").await;
    let (of_other_identity, other_id) = human.converses(&two, "hello").await;
    let neighbour = Human::new(&app, "+155512300010").await;
    let (of_neighbour, _) = neighbour.converses(&one, "hello").await;
    create(&admin, &one, ContactRuleAction::Block, &human.number).await;

    assert_eq!(human.says(&blocked, "1").await.outcome(), ReceiveOutcome::StoredBlocked);
    assert_eq!(human.says(&of_other_identity, "2").await.outcome(), ReceiveOutcome::Stored);
    assert_eq!(neighbour.says(&of_neighbour, "3").await.outcome(), ReceiveOutcome::Stored);
    assert_reason(admin.send_message(to_conversation(&id, "hi")).await, "RECIPIENT_BLOCKED");
    send(&admin, &other_id, "hi").await;
}
