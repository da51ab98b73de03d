//! What every call to a human's phone shares: its checks in their order, and how it ends when the line fails.

use std::time::{Duration, Instant};

use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, Delivery, DeliveryKind, FilterMode, Identity,
    MarkConversationReadRequest, SendTypingIndicatorRequest, StopTypingIndicatorRequest,
    UpdateIdentityRequest,
};
use tonic::Status;
use uuid::Uuid;

use super::{deliveries, only};
use crate::support::assertions::{assert_alike, assert_names_no_line};
use crate::support::callers::Caller;
use crate::support::{Human, Scene, TestApp, assert_fields, assert_reason, rows};

#[derive(Debug, Clone, Copy)]
enum PhoneCall {
    MarkRead,
    Typing,
    TypingStop,
}

impl PhoneCall {
    const ALL: [Self; 3] = [Self::MarkRead, Self::Typing, Self::TypingStop];

    const fn kind(self) -> DeliveryKind {
        match self {
            Self::MarkRead => DeliveryKind::ReadReceipt,
            Self::Typing => DeliveryKind::Typing,
            Self::TypingStop => DeliveryKind::TypingStop,
        }
    }

    async fn make(self, caller: &Caller, id: &str) -> Result<(), Status> {
        let conversation_id = id.to_owned();
        match self {
            Self::MarkRead => {
                let request = MarkConversationReadRequest { conversation_id, ..Default::default() };
                caller.mark_conversation_read(request).await.map(drop)
            }
            Self::Typing => {
                let request = SendTypingIndicatorRequest { conversation_id, ..Default::default() };
                caller.send_typing_indicator(request).await.map(drop)
            }
            Self::TypingStop => {
                caller.stop_typing_indicator(StopTypingIndicatorRequest { conversation_id }).await.map(drop)
            }
        }
    }
}

async fn set_enabled(app: &TestApp, identity: &Identity, enabled: bool) {
    let request = UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        imessage_enabled: Some(enabled),
        ..Default::default()
    };
    app.admin(&identity.organization_id).await.update_identity(request).await.unwrap();
}

#[tokio::test]
async fn the_earliest_failing_check_answers_and_the_line_comes_last() {
    for call in PhoneCall::ALL {
        let app = TestApp::start().await;
        let identity = app.identity("org_a").await;
        let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
        let sibling = app.agent(&app.identity("org_a").await).await;
        let (router, stranger) = (app.router().await, app.stranger());
        // The line refuses this number, and everything else that can be wrong with the conversation is.
        let human = Human::new(&app, "+15005550005").await;
        let (_, id) = human.converses(&identity, "hello").await;
        human.disconnects(&identity).await;
        let rule = rows::block(&app.pool, &identity, &human.number).await;
        set_enabled(&app, &identity, false).await;

        assert_reason(call.make(&stranger, "nonsense").await, "API_KEY_INVALID");
        for caller in [&admin, &agent, &router] {
            assert_fields(call.make(caller, "nonsense").await, &["conversation_id"]);
            assert_fields(call.make(caller, "").await, &["conversation_id"]);
        }
        assert_reason(call.make(&router, &id).await, "SCOPE_INSUFFICIENT");
        assert_reason(call.make(&sibling, &id).await, "NOT_FOUND");
        for caller in [&admin, &agent] {
            assert_reason(call.make(caller, &id).await, "IDENTITY_NOT_ENABLED");
        }
        set_enabled(&app, &identity, true).await;
        for caller in [&admin, &agent] {
            let details = assert_reason(call.make(caller, &id).await, "RECIPIENT_BLOCKED");
            let matched = details.error_info().unwrap().metadata.get("matched_rule_id").cloned();
            assert_eq!(matched, Some(rule.to_string()));
        }
        rows::remove_rules(&app.pool, &identity).await;
        for caller in [&admin, &agent] {
            assert_reason(call.make(caller, &id).await, "CONNECTION_RELEASED");
        }
        assert_eq!(deliveries(&admin, &id).await, [], "{call:?}");
        assert_eq!(only(&agent, None).await.unread_count, 1, "{call:?}");

        human.connects(&identity).await;
        assert_reason(call.make(&agent, &id).await, "UPSTREAM_FAILED");
        assert_eq!(deliveries(&admin, &id).await.len(), 1, "{call:?}");
    }
}

#[tokio::test]
async fn unknown_foreign_and_a_siblings_conversations_read_alike_and_reach_no_line() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, of_sibling) = human.converses(&sibling, "hello").await;
    let (_, of_foreign) = human.converses(&foreign, "hello").await;
    let unknown = Uuid::from_u128(1).to_string();
    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);

    for call in PhoneCall::ALL {
        assert_reason(call.make(&admin, &unknown).await, "NOT_FOUND");
        assert_alike(call.make(&admin, &of_foreign).await, call.make(&admin, &unknown).await);
        assert_alike(call.make(&agent, &of_foreign).await, call.make(&agent, &unknown).await);
        assert_alike(call.make(&agent, &of_sibling).await, call.make(&agent, &unknown).await);
    }
    assert_eq!(deliveries(&admin, &of_sibling).await, []);
    assert_eq!(deliveries(&app.admin("org_b").await, &of_foreign).await, []);
    assert_eq!(only(&admin, None).await.unread_count, 1);
    assert_eq!(only(&app.admin("org_b").await, None).await.unread_count, 1);
}

#[tokio::test]
async fn a_whitelist_blocks_by_default_and_names_no_rule() {
    let Scene { app, identity, human, conversation_id: id, admin, agent, .. } = Scene::start().await;
    let whitelist = UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        filter_mode: FilterMode::Whitelist.into(),
        ..Default::default()
    };
    admin.update_identity(whitelist).await.unwrap();

    for call in PhoneCall::ALL {
        let details = assert_reason(call.make(&agent, &id).await, "RECIPIENT_BLOCKED");
        assert_eq!(details.error_info().unwrap().metadata.get("matched_rule_id"), None);
    }
    assert_eq!(deliveries(&admin, &id).await, []);
    assert_eq!(only(&agent, None).await.unread_count, 1);

    let (allow, active) = (ContactRuleAction::Allow, ContactRuleStatus::Active);
    rows::contact_rule(&app.pool, &identity, &human.number, allow, active).await;
    for call in PhoneCall::ALL {
        call.make(&agent, &id).await.unwrap();
    }
    assert_eq!(deliveries(&admin, &id).await.len(), PhoneCall::ALL.len());
}

#[tokio::test]
async fn a_human_who_reconnected_and_is_still_silent_can_be_reached() {
    let Scene { app, identity, human, conversation_id: id, .. } = Scene::start().await;
    human.disconnects(&identity).await;
    human.connects(&identity).await;

    let agent = app.agent(&identity).await;
    for call in PhoneCall::ALL {
        call.make(&agent, &id).await.unwrap();
    }
    let reached: Vec<_> =
        deliveries(&app.admin("org_a").await, &id).await.iter().map(Delivery::kind).collect();
    assert_eq!(reached, PhoneCall::ALL.map(PhoneCall::kind));
}

#[tokio::test]
async fn a_failing_line_is_named_once_with_advice_to_retry_where_that_can_help() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    for (number, can_help) in [("+15005550001", true), ("+15005550004", true), ("+15005550005", false)] {
        let human = Human::new(&app, number).await;
        let (_, id) = human.converses(&identity, "hello").await;
        for call in PhoneCall::ALL {
            let before = deliveries(&admin, &id).await.len();
            let status = call.make(&agent, &id).await.unwrap_err();
            assert_names_no_line(&status);
            let details = assert_reason::<()>(Err(status), "UPSTREAM_FAILED");
            assert_eq!(details.retry_info().is_some(), can_help, "{call:?} to {number}");
            let attempts = deliveries(&admin, &id).await.split_off(before);
            let attempts: Vec<_> = attempts.iter().map(|attempt| (attempt.kind(), attempt.failed)).collect();
            assert_eq!(attempts, [(call.kind(), true)], "{number}");
        }
        human.disconnects(&identity).await;
    }
}

#[tokio::test]
async fn a_line_that_fails_every_odd_call_succeeds_on_the_second() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550002").await;

    for call in PhoneCall::ALL {
        let details = assert_reason(call.make(&agent, &id).await, "UPSTREAM_FAILED");
        assert!(details.retry_info().is_some(), "{call:?}");
        call.make(&agent, &id).await.unwrap();
    }
    let failed: Vec<_> = deliveries(&admin, &id).await.iter().map(|attempt| attempt.failed).collect();
    assert_eq!(failed, [true, false, true, false, true, false]);
}

#[tokio::test]
async fn a_slow_line_is_waited_for_and_a_silent_one_only_for_its_time_out() {
    const TIME_OUT: Duration = Duration::from_millis(700);
    let app = TestApp::with(|settings| settings.line_time_out = TIME_OUT).await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let slow = Human::new(&app, "+15005550003").await;
    let (_, of_slow) = slow.converses(&identity, "hello").await;
    let silent = Human::new(&app, "+15005550004").await;
    let (_, of_silent) = silent.converses(&identity, "hello").await;

    let waits = PhoneCall::ALL.map(async |call| {
        let started = Instant::now();
        call.make(&agent, &of_slow).await.unwrap();
        assert!(started.elapsed() >= Duration::from_secs(2), "{call:?}");
        let started = Instant::now();
        assert_reason(call.make(&agent, &of_silent).await, "UPSTREAM_FAILED");
        assert!(started.elapsed() >= TIME_OUT, "{call:?}");
    });
    futures_util::future::join_all(waits).await;
}
