use inkbox_imessage::proto::{
    AssignmentStatus, ContactRuleAction, ContactRuleStatus, FilterMode, GetConversationRequest,
    ListConnectionsRequest, ReceiveOutcome, UpdateIdentityRequest,
};

use super::connections;
use crate::support::app::POOL_LINES;
use crate::support::{Human, TestApp, rows};

#[tokio::test]
async fn connect_ignores_case_blanks_and_the_at_sign() {
    let app = TestApp::start().await;
    app.identity_with("org_a", |new| new.agent_handle = "SalesBot".to_owned()).await;
    let spellings = [
        "connect @SalesBot",
        "connect salesbot",
        "  CONNECT \t @SALESBOT \n",
        "Connect @ salesBot",
        "connect@salesbot",
    ];
    for (i, words) in spellings.into_iter().enumerate() {
        let human = Human::new(&app, &format!("+1555123000{i}")).await;
        assert_eq!(human.commands(words).await.outcome(), ReceiveOutcome::Connected, "{words:?}");
    }
}

#[tokio::test]
async fn an_at_sign_inside_a_handle_is_part_of_it() {
    let app = TestApp::start().await;
    app.identity_with("org_a", |new| new.agent_handle = "sales@acme.com".to_owned()).await;
    let human = Human::new(&app, "+15551230001").await;
    for words in ["connect sales@acme.com", "connect @Sales@acme.com", "connect@sales@acme.com"] {
        assert_eq!(human.commands(words).await.outcome(), ReceiveOutcome::Connected, "{words:?}");
    }
    let ended = human.commands("disconnect sales@acme.com").await;
    assert_eq!(ended.outcome(), ReceiveOutcome::Disconnected);
}

#[tokio::test]
async fn connected_tells_the_connection_the_pool_line_and_what_to_reply() {
    let app = TestApp::start().await;
    let identity = app.identity_with("org_a", |new| new.agent_handle = "SalesBot".to_owned()).await;
    let human = Human::new(&app, "+15551230001").await;

    let answer = human.commands("connect salesbot").await;
    assert_eq!(answer.outcome(), ReceiveOutcome::Connected);
    assert!(answer.reply_text.as_ref().unwrap().contains("@SalesBot"), "{answer:?}");
    assert!(POOL_LINES.contains(&answer.line_number()), "{answer:?}");
    assert_eq!((&answer.conversation_id, &answer.message_id), (&None, &None));

    let admin = app.admin("org_a").await;
    let listed = admin.list_connections(ListConnectionsRequest::default()).await.unwrap().connections;
    assert_eq!(listed.len(), 1);
    assert_eq!(Some(&listed[0].id), answer.connection_id.as_ref());
    assert_eq!(listed[0].agent_identity_id, identity.id);
    assert_eq!(listed[0].remote_number, human.number);
    assert_eq!(listed[0].status(), AssignmentStatus::Active);
}

#[tokio::test]
async fn connecting_twice_keeps_the_one_connection_and_answers_the_same() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let words = format!("connect @{}", identity.agent_handle);

    let first = human.commands(&words).await;
    assert_eq!(human.commands(&words).await, first);
    assert_eq!(connections(&app, "org_a").await, [first.connection_id.unwrap()]);
}

#[tokio::test]
async fn unknown_disabled_and_blocked_handles_answer_alike() {
    let app = TestApp::start().await;
    let human = Human::new(&app, "+15551230001").await;
    let disabled = app.identity_with("org_a", |new| new.imessage_enabled = false).await;
    let blocking = app.identity("org_a").await;
    rows::block(&app.pool, &blocking, &human.number).await;
    let whitelisting = app.identity_with("org_a", |new| new.set_filter_mode(FilterMode::Whitelist)).await;

    let unknown = human.commands("connect @nobody").await;
    assert_eq!(unknown.outcome(), ReceiveOutcome::Refused);
    assert!(!unknown.reply_text().is_empty());
    for identity in [disabled, blocking, whitelisting] {
        assert_eq!(human.commands(&format!("connect @{}", identity.agent_handle)).await, unknown);
    }
    assert!(connections(&app, "org_a").await.is_empty());
}

#[tokio::test]
async fn a_connected_human_is_refused_alike_once_blocked_or_the_agent_disabled() {
    let app = TestApp::start().await;
    let human = Human::new(&app, "+15551230001").await;
    let (blocking, disabled) = (app.identity("org_a").await, app.identity("org_a").await);
    human.connects(&blocking).await;
    human.connects(&disabled).await;
    rows::block(&app.pool, &blocking, &human.number).await;
    let off = UpdateIdentityRequest {
        identity_id: disabled.id.clone(),
        imessage_enabled: Some(false),
        ..Default::default()
    };
    app.admin("org_a").await.update_identity(off).await.unwrap();

    let unknown = human.commands("connect @nobody").await;
    for identity in [blocking, disabled] {
        assert_eq!(human.commands(&format!("connect @{}", identity.agent_handle)).await, unknown);
    }
}

#[tokio::test]
async fn only_an_active_rule_of_the_modes_own_action_decides_who_may_connect() {
    use ContactRuleAction::{Allow, Block};
    use ContactRuleStatus::{Active, Paused};
    use FilterMode::{Blacklist, Whitelist};
    use ReceiveOutcome::{Connected, Refused};

    let app = TestApp::start().await;
    let table = [
        (Blacklist, Block, Active, Refused),
        (Blacklist, Block, Paused, Connected),
        (Blacklist, Allow, Active, Connected),
        (Whitelist, Allow, Active, Connected),
        (Whitelist, Allow, Paused, Refused),
        (Whitelist, Block, Active, Refused),
    ];
    for (i, (mode, action, status, expected)) in table.into_iter().enumerate() {
        let human = Human::new(&app, &format!("+1555123000{i}")).await;
        let identity = app.identity_with("org_a", |new| new.set_filter_mode(mode)).await;
        rows::contact_rule(&app.pool, &identity, &human.number, action, status).await;
        let answer = human.commands(&format!("connect @{}", identity.agent_handle)).await;
        assert_eq!(answer.outcome(), expected, "{mode:?} {action:?} {status:?}");
    }
}

#[tokio::test]
async fn the_least_loaded_pool_line_is_chosen() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let mut lines = Vec::new();
    for i in 0..3 {
        let human = Human::new(&app, &format!("+1555123000{i}")).await;
        lines.push(human.connects(&identity).await.line);
    }
    lines.sort_unstable();
    assert_eq!(lines, POOL_LINES);

    // One line falls behind the others again: the last one, so that the order of numbers does not choose it.
    for i in 0..3 {
        let human = Human::new(&app, &format!("+1555123000{i}")).await;
        if human.connects(&identity).await.line == POOL_LINES[2] {
            human.disconnects(&identity).await;
        }
    }
    let next = Human::new(&app, "+15551230009").await;
    assert_eq!(next.connects(&identity).await.line, POOL_LINES[2]);
}

#[tokio::test]
async fn a_line_that_connects_the_human_to_another_agent_is_never_chosen_and_none_free_is_refused() {
    let app = TestApp::start().await;
    let human = Human::new(&app, "+15551230001").await;
    let mut identities = Vec::new();
    for i in 0..4 {
        // Of two organizations: what counts is the human, not whose agents they are.
        identities.push(app.identity(["org_a", "org_b"][i % 2]).await);
    }
    let mut lines = Vec::new();
    for identity in &identities[..3] {
        lines.push(human.connects(identity).await.line);
    }
    lines.sort_unstable();
    assert_eq!(lines, POOL_LINES);

    let fourth = format!("connect @{}", identities[3].agent_handle);
    let refused = human.commands(&fourth).await;
    assert_eq!(refused.outcome(), ReceiveOutcome::Refused);
    assert!(!refused.reply_text().is_empty());
    assert_eq!((refused.connection_id, refused.line_number), (None, None));
    assert_eq!(connections(&app, "org_b").await.len(), 1);

    human.disconnects(&identities[1]).await;
    assert_eq!(human.commands(&fourth).await.outcome(), ReceiveOutcome::Connected);
}

#[tokio::test]
async fn reconnecting_makes_a_new_connection_and_turns_the_same_conversation_active() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (first, conversation_id) = human.converses(&identity, "hello").await;
    human.disconnects(&identity).await;

    let second = human.connects(&identity).await;
    assert_ne!(second.connection_id, first.connection_id);
    let get = GetConversationRequest { conversation_id: conversation_id.clone(), agent_identity_id: None };
    let conversation = app.admin("org_a").await.get_conversation(get).await.unwrap().conversation.unwrap();
    assert_eq!(conversation.assignment_status(), AssignmentStatus::Active);
    assert_eq!(conversation.assignment_id, second.connection_id);
    assert_eq!(human.says(&second, "me again").await.conversation_id, Some(conversation_id));
}
