//! Numbers that reach the same subscriber are one human, in whatever form they are given.

use inkbox_imessage::domain::{FORMER_FORMS, PhoneNumber};
use inkbox_imessage::proto::{
    ContactRuleAction, CreateContactRuleRequest, ReactionType, ReceiveOutcome, ReceiveReactionRequest,
};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::messages::{deliveries, messages_of, send, texts, to_number};
use crate::support::{Human, TestApp, assert_reason};

/// Equivalent numbers of one subscriber; the canonical one is the first.
const SUBSCRIBERS: [[&str; 2]; 3] = [
    ["+525512345678", "+5215512345678"],
    ["+5491123456789", "+541123456789"],
    ["+5511987654321", "+551187654321"],
];

#[tokio::test]
async fn equivalent_numbers_are_one_human_with_one_conversation() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    for [canonical, other] in SUBSCRIBERS {
        let (human, same) = (Human::new(&app, canonical).await, Human::new(&app, other).await);
        let thread = same.connects(&identity).await;
        assert_eq!(human.connects(&identity).await.connection_id, thread.connection_id);
        let first = human.says(&thread, "one").await;
        let second = same.says(&thread, "two").await;
        assert_eq!(second.outcome(), ReceiveOutcome::Stored);
        assert_eq!(first.conversation_id, second.conversation_id);
        let conversation_id = first.conversation_id.unwrap();
        let messages = messages_of(&agent, &conversation_id).await;
        assert_eq!(texts(&messages), ["two", "one"]);
        assert!(messages.iter().all(|message| message.remote_number == canonical));

        for number in [other, canonical] {
            let sent = agent.send_message(to_number(number, None, "hi")).await.unwrap().message.unwrap();
            assert_eq!(
                (sent.conversation_id, sent.remote_number.as_str()),
                (conversation_id.clone(), canonical)
            );
        }
        same.disconnects(&identity).await;
        assert_eq!(human.says(&thread, "three").await.outcome(), ReceiveOutcome::NotConnected);
    }
    let sent = deliveries(&admin).await;
    let canonical = SUBSCRIBERS.map(|[canonical, _]| canonical);
    assert!(sent.iter().all(|delivery| canonical.contains(&delivery.remote_number.as_str())));
}

#[tokio::test]
async fn verify_finds_exactly_the_numbers_that_are_not_canonical() {
    let app = TestApp::start().await;
    for number in [
        "+525512345678",
        "+5215512345678",
        "+521551234567",
        "+52155123456789",
        "+5210512345678",
        "+5491123456789",
        "+541123456789",
        "+54111523456789",
        "+549111523456789",
        "+54341153456789",
        "+54290115423456",
        "+549290115423456",
        "+544123456789",
        "+548001234567",
        "+54112345678",
        "+5411123456789",
        "+551187654321",
        "+5511987654321",
        "+551161234567",
        "+551171234567",
        "+551132345678",
        "+551087654321",
        "+55118765432",
        "+15551230001",
        "+12",
    ] {
        let is_found: bool = sqlx::query_scalar("SELECT $1 ~ $2")
            .bind(number)
            .bind(FORMER_FORMS)
            .fetch_one(&app.pool)
            .await
            .unwrap();
        let canonical = PhoneNumber::parse_subscriber(number).unwrap();
        assert_eq!(is_found, canonical.as_str() != number, "{number}");
    }
}

#[tokio::test]
async fn a_tapback_from_an_equivalent_number_is_put() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let [canonical, other] = SUBSCRIBERS[0];
    let human = Human::new(&app, canonical).await;
    let thread = human.connects(&identity).await;
    let text = human.text(&thread.line, "hello");
    human.router.receive_message(text.clone()).await.unwrap();
    let reaction = ReceiveReactionRequest {
        line_number: thread.line,
        remote_number: other.to_owned(),
        target_provider_message_id: text.provider_message_id,
        reaction: ReactionType::Love.into(),
        ..Default::default()
    };
    let answer = human.router.receive_reaction(reaction).await.unwrap();
    assert_eq!(answer.outcome(), ReceiveOutcome::Stored);
}

#[tokio::test]
async fn a_contact_rule_holds_for_equivalent_numbers_and_there_is_one_for_all() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    for [canonical, other] in SUBSCRIBERS {
        let human = Human::new(&app, canonical).await;
        let (thread, _) = human.converses(&identity, "hello").await;
        let block = |number: &str| CreateContactRuleRequest {
            agent_identity_id: None,
            action: ContactRuleAction::Block.into(),
            match_target: number.to_owned(),
        };
        let rule = agent.create_contact_rule(block(other)).await.unwrap().contact_rule.unwrap();
        assert_eq!(rule.match_target, canonical);
        assert_eq!(human.says(&thread, "again").await.outcome(), ReceiveOutcome::StoredBlocked);
        let details = assert_reason(agent.create_contact_rule(block(canonical)).await, "ALREADY_EXISTS");
        assert_eq!(details.error_info().unwrap().metadata.get("existing_id"), Some(&rule.id));
    }
}

#[tokio::test]
async fn numbers_that_only_resemble_each_other_are_different_humans() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    // A landline and a mobile of one area of Brazil; trunked radio and a mobile.
    for [one, other] in [["+551132345678", "+5511932345678"], ["+551170123456", "+5511970123456"]] {
        let (_, first) = Human::new(&app, one).await.converses(&identity, "one").await;
        let (_, second) = Human::new(&app, other).await.converses(&identity, "two").await;
        assert_ne!(first, second);
        assert_eq!(send(&agent, &first, "hi").await.remote_number, one);
        assert_eq!(send(&agent, &second, "hi").await.remote_number, other);
    }
}

#[tokio::test]
async fn a_number_of_an_unknown_range_is_accepted_and_another_notation_is_refused_by_field() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    for number in ["+15551230001", "+99912345678"] {
        let answer = agent.send_message(to_number(number, None, "hi")).await;
        assert_reason(answer, "RECIPIENT_NOT_CONNECTED");
    }
    for notation in ["+52 55 1234 5678", "5512345678", "tel:+525512345678", "00525512345678"] {
        let refused = agent.send_message(to_number(notation, None, "hi")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{notation}");
        let violations = refused.get_error_details().bad_request().unwrap().field_violations.clone();
        assert_eq!(violations[0].field, "to", "{notation}");
    }
}
