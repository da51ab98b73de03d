//! `ReceiveMessage`.

use crate::app::App;
use crate::domain::{Media, Principal, Transport};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging::inbound::{self, RawText, Replies, TextOutcome};
use crate::proto::{ReceiveMessageRequest, ReceiveMessageResponse, ReceiveOutcome};
use crate::store::inbound::{InboundText, StoredMessage};

fn parse(app: &App, request: ReceiveMessageRequest) -> Result<InboundText> {
    let mut violations = Violations::default();
    let sent_at = violations.timestamp("sent_at", request.sent_at);
    let transport = violations.optional_enum(
        "transport",
        request.transport,
        Transport::from_wire,
        Transport::Unspecified,
    );
    let media = request.media.into_iter();
    let raw = RawText {
        line_number: request.line_number,
        remote_number: request.remote_number,
        text: request.text,
        media: media
            .map(|file| Media { url: file.url, content_type: file.content_type, size_bytes: file.size_bytes })
            .collect(),
        provider_message_id: request.provider_message_id,
        // An invalid value has added a violation, which rejects the request; the placeholder is never used.
        sent_at: sent_at.flatten(),
        transport: transport.unwrap_or(Transport::Unspecified),
        chat: None,
        reply_to: None,
    };
    let text = raw.validate(&mut violations, app.clock.now());
    violations.finish(|| text)
}

pub(super) async fn receive_message(
    app: &App,
    caller: &Principal,
    request: ReceiveMessageRequest,
) -> Result<ReceiveMessageResponse> {
    let text = parse(app, request)?;
    caller.require_router()?;
    Ok(encode(inbound::receive(app, text, Replies::ByCaller).await?))
}

fn encode(outcome: TextOutcome) -> ReceiveMessageResponse {
    let mut response = ReceiveMessageResponse::default();
    match outcome {
        TextOutcome::Connected { connection_id, line_number, reply } => {
            response.set_outcome(ReceiveOutcome::Connected);
            response.connection_id = Some(connection_id.to_string());
            response.line_number = Some(line_number.into_string());
            response.reply_text = Some(reply);
        }
        TextOutcome::Disconnected { connection_id, reply } => {
            response.set_outcome(ReceiveOutcome::Disconnected);
            response.connection_id = Some(connection_id.to_string());
            response.reply_text = Some(reply);
        }
        TextOutcome::Refused { reply } => {
            response.set_outcome(ReceiveOutcome::Refused);
            response.reply_text = Some(reply);
        }
        TextOutcome::Help { reply } => {
            response.set_outcome(ReceiveOutcome::Help);
            response.reply_text = Some(reply);
        }
        TextOutcome::DuplicateCommand { connection_id } => {
            response.set_outcome(ReceiveOutcome::Duplicate);
            response.connection_id = connection_id.map(|id| id.to_string());
        }
        TextOutcome::Stored(stored) => encode_stored(&mut response, ReceiveOutcome::Stored, stored),
        TextOutcome::StoredBlocked(stored) => {
            encode_stored(&mut response, ReceiveOutcome::StoredBlocked, stored);
        }
        TextOutcome::Completed(stored) | TextOutcome::Duplicate(stored) => {
            encode_stored(&mut response, ReceiveOutcome::Duplicate, stored);
        }
        TextOutcome::Forgotten => response.set_outcome(ReceiveOutcome::Duplicate),
        TextOutcome::NotConnected => response.set_outcome(ReceiveOutcome::NotConnected),
        TextOutcome::IdentityDisabled => response.set_outcome(ReceiveOutcome::IdentityDisabled),
    }
    response
}

fn encode_stored(response: &mut ReceiveMessageResponse, outcome: ReceiveOutcome, stored: StoredMessage) {
    response.set_outcome(outcome);
    response.connection_id = Some(stored.connection_id.to_string());
    response.conversation_id = Some(stored.conversation_id.to_string());
    response.message_id = Some(stored.message_id.to_string());
}
