use inkbox_imessage::proto::{ContactRuleAction, ReleaseConnectionRequest};
use inkbox_imessage::proto::{
    CreateContactRuleRequest, FilterMode, SendMessageRequest, UpdateIdentityRequest,
};
use uuid::Uuid;

use super::{all_messages, deliveries, keyed, to_conversation, to_number};
use crate::support::app::ROUTER_LINE;
use crate::support::assertions::assert_alike;
use crate::support::callers::Caller;
use crate::support::{Human, Scene, TestApp, assert_fields, assert_reason, rows};

/// What is stored and what reached the line, to show that a refusal changed neither.
async fn traces(admin: &Caller) -> (usize, usize) {
    (all_messages(admin).await.len(), deliveries(admin).await.len())
}

async fn enable(admin: &Caller, identity: &str, enabled: bool) {
    let request = UpdateIdentityRequest {
        identity_id: identity.to_owned(),
        imessage_enabled: Some(enabled),
        ..Default::default()
    };
    admin.update_identity(request).await.unwrap();
}

#[tokio::test]
async fn wrong_fields_are_refused_by_name() {
    let Scene { app, human, conversation_id: id, admin, agent, .. } = Scene::start().await;
    let good = to_conversation(&id, "hi");
    let media = |urls: &[&str]| SendMessageRequest {
        media_urls: urls.iter().map(|&url| url.to_owned()).collect(),
        ..good.clone()
    };
    let table: Vec<(SendMessageRequest, &str)> = vec![
        (SendMessageRequest { target: None, ..good.clone() }, "target"),
        (to_conversation("", "hi"), "conversation_id"),
        (to_conversation("nonsense", "hi"), "conversation_id"),
        (to_number("", None, "hi"), "to"),
        (to_number("15551230001", None, "hi"), "to"),
        (SendMessageRequest { agent_identity_id: Some(String::new()), ..good.clone() }, "agent_identity_id"),
        (to_conversation(&id, &"é".repeat(18_997)), "text"),
        (to_conversation(&id, ""), "text"),
        (SendMessageRequest { text: None, ..good.clone() }, "text"),
        (to_conversation(&id, "a\0b"), "text"),
        (media(&["https://files.example/1", "https://files.example/2"]), "media_urls"),
        (media(&["http://files.example/1"]), "media_urls[0]"),
        (media(&["files.example/1"]), "media_urls[0]"),
        (media(&[""]), "media_urls[0]"),
        (media(&["https://"]), "media_urls[0]"),
        (SendMessageRequest { send_style: 14, ..good.clone() }, "send_style"),
        (SendMessageRequest { send_style: -1, ..good.clone() }, "send_style"),
        (keyed(good.clone(), ""), "idempotency_key"),
        (keyed(good.clone(), &"k".repeat(256)), "idempotency_key"),
        (keyed(good.clone(), "clé"), "idempotency_key"),
        (keyed(good.clone(), "a\tb"), "idempotency_key"),
    ];
    for (request, field) in table {
        assert_fields(agent.send_message(request.clone()).await, &[field]);
        // What a router key may not do at all is told after what is wrong.
        assert_fields(app.router().await.send_message(request).await, &[field]);
    }
    assert_fields(admin.send_message(to_number(&human.number, None, "hi")).await, &["agent_identity_id"]);
    assert_eq!(traces(&admin).await, (1, 0));
    assert!(agent.send_message(keyed(good, &"k".repeat(255))).await.is_ok());
}

#[tokio::test]
async fn all_wrong_fields_are_named_at_once() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let bad = SendMessageRequest {
        media_urls: vec!["ftp://files.example".to_owned()],
        send_style: 99,
        idempotency_key: Some(String::new()),
        ..to_number("nobody", None, "\0")
    };
    let fields = ["to", "agent_identity_id", "text", "media_urls[0]", "send_style", "idempotency_key"];
    assert_fields(admin.send_message(bad).await, &fields);
}

#[tokio::test]
async fn several_refusals_at_once_are_told_in_their_order_and_leave_nothing_behind() {
    for by_number in [false, true] {
        let app = TestApp::start().await;
        let identity = app.identity("org_a").await;
        // The line itself would fail as well.
        let human = Human::new(&app, "+15005550001").await;
        let (_, id) = human.converses(&identity, "hello").await;
        let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
        human.disconnects(&identity).await;
        let rule = CreateContactRuleRequest {
            agent_identity_id: None,
            action: ContactRuleAction::Block.into(),
            match_target: human.number.clone(),
        };
        let rule = agent.create_contact_rule(rule).await.unwrap().contact_rule.unwrap();
        enable(&admin, &identity.id, false).await;
        // One key through all of it: a refusal before the line was called leaves it free.
        let request = keyed(
            if by_number { to_number(&human.number, None, "hi") } else { to_conversation(&id, "hi") },
            "the same key",
        );
        let malformed = SendMessageRequest { send_style: 99, ..request.clone() };
        let mismatched =
            SendMessageRequest { agent_identity_id: Some(Uuid::from_u128(1).to_string()), ..request.clone() };

        let (stranger, router) = (app.stranger(), app.router().await);
        assert_reason(stranger.send_message(malformed.clone()).await, "API_KEY_INVALID");
        assert_fields(router.send_message(malformed.clone()).await, &["send_style"]);
        assert_reason(router.send_message(request.clone()).await, "SCOPE_INSUFFICIENT");
        let both = SendMessageRequest { send_style: 99, ..mismatched.clone() };
        assert_fields(agent.send_message(both).await, &["send_style"]);
        assert_reason(agent.send_message(mismatched).await, "IDENTITY_MISMATCH");
        assert_reason(agent.send_message(request.clone()).await, "IDENTITY_NOT_ENABLED");
        enable(&admin, &identity.id, true).await;
        let details = assert_reason(agent.send_message(request.clone()).await, "RECIPIENT_BLOCKED");
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!(metadata["matched_rule_id"], rule.id);
        assert_eq!(metadata["reason"], "blocked_by_rule");
        assert_eq!(metadata["address"], human.number);
        rows::remove_rules(&app.pool, &identity).await;
        assert_reason(agent.send_message(request.clone()).await, "CONNECTION_RELEASED");
        let thread = human.connects(&identity).await;
        assert_reason(agent.send_message(request.clone()).await, "RECIPIENT_HAS_NOT_MESSAGED");
        human.says(&thread, "back").await;
        assert_eq!(traces(&admin).await, (2, 0), "the two texts of the human, and nothing on the line");
        assert_reason(agent.send_message(request).await, "UPSTREAM_FAILED");
        assert_eq!(traces(&admin).await, (3, 1));
    }
}

#[tokio::test]
async fn what_the_caller_may_not_see_is_not_found_whatever_else_is_wrong_with_it() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, of_sibling) = human.converses(&sibling, "hello").await;
    let (_, of_foreign) = human.converses(&foreign, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    for identity in [&mine, &sibling] {
        enable(&admin, &identity.id, false).await;
    }
    let unknown = to_conversation(&Uuid::from_u128(1).to_string(), "hi");
    for caller in [&admin, &agent] {
        let answer = caller.send_message(unknown.clone()).await;
        assert_reason(answer.clone(), "NOT_FOUND");
        assert_alike(caller.send_message(to_conversation(&of_foreign, "hi")).await, answer);
    }
    let answer = agent.send_message(unknown.clone()).await;
    assert_alike(agent.send_message(to_conversation(&of_sibling, "hi")).await, answer.clone());
    let named = SendMessageRequest { agent_identity_id: Some(mine.id), ..to_conversation(&of_sibling, "hi") };
    assert_alike(admin.send_message(named).await, answer);

    let by = |identity: &str| to_number(&human.number, Some(identity), "hi");
    let answer = admin.send_message(by(&Uuid::from_u128(1).to_string())).await;
    assert_reason(answer.clone(), "NOT_FOUND");
    assert_alike(admin.send_message(by(&foreign.id)).await, answer);
    assert_eq!(traces(&admin).await, (1, 0));
}

#[tokio::test]
async fn whitelist_mode_blocks_by_default_without_a_rule_to_name() {
    let app = TestApp::start().await;
    let identity = app.identity_with("org_a", |new| new.filter_mode = FilterMode::Whitelist.into()).await;
    let agent = app.agent(&identity).await;
    let answer = agent.send_message(to_number("+15551230001", None, "hi")).await;
    let details = assert_reason(answer, "RECIPIENT_BLOCKED");
    let metadata = &details.error_info().unwrap().metadata;
    assert!(!metadata.contains_key("matched_rule_id"));
    assert_eq!(metadata["reason"], "not_allowed");
    assert_eq!(metadata["address"], "+15551230001");
}

#[tokio::test]
async fn a_number_that_never_connected_is_told_with_what_the_human_must_text() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    for (caller, named) in [(&agent, None), (&admin, Some(identity.id.as_str()))] {
        let answer = caller.send_message(to_number("+15551230001", named, "hi")).await;
        let metadata =
            assert_reason(answer, "RECIPIENT_NOT_CONNECTED").error_info().unwrap().metadata.clone();
        assert_eq!(metadata["router_number"], ROUTER_LINE);
        assert_eq!(metadata["connect_command"], format!("connect @{}", identity.agent_handle));
    }
    assert_eq!(traces(&admin).await, (0, 0));
}

#[tokio::test]
async fn a_number_that_was_released_before_it_ever_texted_is_not_connected() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let admin = app.admin("org_a").await;
    let release = ReleaseConnectionRequest { connection_id: thread.connection_id };
    admin.release_connection(release).await.unwrap();
    let answer = app.agent(&identity).await.send_message(to_number(&human.number, None, "hi")).await;
    assert_reason(answer, "RECIPIENT_NOT_CONNECTED");
}

#[tokio::test]
async fn a_human_who_is_connected_but_silent_has_to_text_first() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let request = to_number(&human.number, None, "hi");
    assert_reason(agent.send_message(request.clone()).await, "RECIPIENT_HAS_NOT_MESSAGED");
    assert_eq!(traces(&admin).await, (0, 0));
    human.says(&thread, "hello").await;
    assert!(agent.send_message(request).await.is_ok());
}

#[tokio::test]
async fn a_blocked_text_does_not_count_as_having_messaged() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    let id = human.says(&thread, "let me in").await.conversation_id.unwrap();
    rows::remove_rules(&app.pool, &identity).await;
    let agent = app.agent(&identity).await;
    for request in [to_conversation(&id, "hi"), to_number(&human.number, None, "hi")] {
        assert_reason(agent.send_message(request).await, "RECIPIENT_HAS_NOT_MESSAGED");
    }
    human.says(&thread, "thank you").await;
    assert!(agent.send_message(to_conversation(&id, "hi")).await.is_ok());
}

#[tokio::test]
async fn after_a_reconnect_only_a_clear_text_opens_the_conversation_for_sends() {
    let Scene { app, identity, human, conversation_id: id, agent, .. } = Scene::start().await;
    human.disconnects(&identity).await;
    let thread = human.connects(&identity).await;
    let requests = [to_conversation(&id, "hi"), to_number(&human.number, None, "hi")];
    for request in &requests {
        assert_reason(agent.send_message(request.clone()).await, "RECIPIENT_HAS_NOT_MESSAGED");
    }
    rows::block(&app.pool, &identity, &human.number).await;
    human.says(&thread, "blocked").await;
    rows::remove_rules(&app.pool, &identity).await;
    for request in &requests {
        assert_reason(agent.send_message(request.clone()).await, "RECIPIENT_HAS_NOT_MESSAGED");
    }
    human.says(&thread, "back").await;
    for request in requests {
        assert!(agent.send_message(request).await.is_ok());
    }
}
