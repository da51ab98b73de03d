//! The texts that a client gets for each kind of invalid field.

use std::fmt::Write as _;

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::*;
use prost_types::Timestamp;
use tonic::Status;
use tonic_types::StatusExt as _;

use super::assert_frozen;
use crate::support::TestApp;

const NUMBER: &str = "+15551230001";

/// Adds the violations of a refused call to the text.
#[track_caller]
fn record<T: std::fmt::Debug>(text: &mut String, rpc: &str, answer: Result<T, Status>) {
    let status = answer.unwrap_err();
    let details = status.get_error_details();
    let violations = &details.bad_request().unwrap_or_else(|| panic!("{status:?}")).field_violations;
    for violation in violations {
        writeln!(text, "{rpc} {}: {}", violation.field, violation.description).unwrap();
    }
}

fn text_from(change: impl FnOnce(&mut ReceiveMessageRequest)) -> ReceiveMessageRequest {
    let mut request = ReceiveMessageRequest {
        line_number: NUMBER.to_owned(),
        remote_number: NUMBER.to_owned(),
        text: Some("hello".to_owned()),
        provider_message_id: "text-1".to_owned(),
        ..Default::default()
    };
    change(&mut request);
    request
}

fn send(change: impl FnOnce(&mut SendMessageRequest)) -> SendMessageRequest {
    let mut request = SendMessageRequest {
        target: Some(Target::ConversationId("01890a5d-ac96-774b-bcce-b302099a8057".to_owned())),
        text: Some("hello".to_owned()),
        ..Default::default()
    };
    change(&mut request);
    request
}

#[tokio::test]
async fn every_text_about_a_wrong_field() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, router) = (app.admin("org_a").await, app.router().await);
    let mut text = String::new();

    let list = |change: fn(&mut ListConversationsRequest)| {
        let mut request = ListConversationsRequest::default();
        change(&mut request);
        request
    };
    for request in [
        list(|request| request.agent_identity_id = Some("x".to_owned())),
        list(|request| request.limit = Some(201)),
        list(|request| request.offset = Some(-1)),
        list(|request| request.page_token = "nonsense".to_owned()),
        list(|request| (request.offset, request.page_token) = (Some(1), "nonsense".to_owned())),
    ] {
        record(&mut text, "ListConversations", admin.list_conversations(request).await);
    }
    crate::support::rows::many_conversations(&app.pool, &identity, 2).await;
    let first = list(|request| request.limit = Some(1));
    let token = admin.list_conversations(first).await.unwrap().next_page_token;
    let elsewhere = ListMessagesRequest { page_token: token, ..Default::default() };
    record(&mut text, "ListMessages", admin.list_messages(elsewhere).await);

    for request in [
        send(|request| request.target = None),
        send(|request| request.target = Some(Target::To(NUMBER.to_owned()))),
        send(|request| request.target = Some(Target::To("5551230001".to_owned()))),
        send(|request| request.text = None),
        send(|request| request.text = Some("a\0".to_owned())),
        send(|request| request.text = Some("a".repeat(20_000))),
        send(|request| request.media_urls = vec!["https://a/1".to_owned(), "https://a/2".to_owned()]),
        send(|request| request.media_urls = vec!["http://a/1".to_owned()]),
        send(|request| request.idempotency_key = Some(String::new())),
        send(|request| request.send_style = 999),
    ] {
        record(&mut text, "SendMessage", admin.send_message(request).await);
    }
    for (reaction, part_index) in
        [(0, 0), (999, 0), (ReactionType::Custom.into(), 0), (ReactionType::Love.into(), 32)]
    {
        let request = SendReactionRequest { message_id: identity.id.clone(), reaction, part_index };
        record(&mut text, "SendReaction", admin.send_reaction(request).await);
    }
    let rule = CreateContactRuleRequest { match_target: NUMBER.to_owned(), action: 1, ..Default::default() };
    record(&mut text, "CreateContactRule", admin.create_contact_rule(rule).await);
    for handle in ["", "a b", &"a".repeat(256)] {
        let request = CreateIdentityRequest { agent_handle: handle.to_owned(), ..Default::default() };
        record(&mut text, "CreateIdentity", admin.create_identity(request).await);
    }
    for expires_at in [Timestamp { seconds: 1, nanos: 0 }, Timestamp { seconds: 1, nanos: -1 }] {
        let request = CreateApiKeyRequest {
            agent_identity_id: identity.id.clone(),
            expires_at: Some(expires_at),
            ..Default::default()
        };
        record(&mut text, "CreateApiKey", admin.create_api_key(request).await);
    }

    let file = |url: &str, size| Media { url: url.to_owned(), content_type: None, size_bytes: size };
    for request in [
        text_from(|request| request.text = None),
        text_from(|request| request.provider_message_id = String::new()),
        text_from(|request| request.transport = 999),
        text_from(|request| request.media = vec![file("https://a/1", None); 21]),
        text_from(|request| request.media = vec![file("", Some(-1))]),
    ] {
        record(&mut text, "ReceiveMessage", router.receive_message(request).await);
    }
    for (reaction, custom_emoji) in
        [(ReactionType::Love, Some("🦅".to_owned())), (ReactionType::Custom, None)]
    {
        let request = ReceiveReactionRequest {
            line_number: NUMBER.to_owned(),
            remote_number: NUMBER.to_owned(),
            target_provider_message_id: "text-1".to_owned(),
            reaction: reaction.into(),
            custom_emoji,
            ..Default::default()
        };
        record(&mut text, "ReceiveReaction", router.receive_reaction(request).await);
    }
    let update = UpdateDeliveryStatusRequest {
        line_number: NUMBER.to_owned(),
        provider_message_id: "text-1".to_owned(),
        status: DeliveryStatus::Received.into(),
        ..Default::default()
    };
    record(&mut text, "UpdateDeliveryStatus", router.update_delivery_status(update).await);
    assert_frozen("validation.txt", &text);
}
