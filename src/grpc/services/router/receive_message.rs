//! `ReceiveMessage`.

use crate::app::App;
use crate::domain::{Media, Principal, Transport};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::messaging::inbound::{self, Outcome, RawText};
use crate::proto::{ReceiveMessageRequest, ReceiveMessageResponse, ReceiveOutcome};
use crate::store::inbound::{InboundText, StoredMessage};

fn parse(app: &App, message: ReceiveMessageRequest) -> Result<InboundText> {
    let mut fields = Violations::default();
    let sent_at = fields.timestamp("sent_at", message.sent_at);
    let transport =
        fields.optional_enum("transport", message.transport, Transport::from_wire, Transport::Unspecified);
    let media = message.media.into_iter();
    let given = RawText {
        line_number: message.line_number,
        remote_number: message.remote_number,
        text: message.text,
        media: media
            .map(|file| Media { url: file.url, content_type: file.content_type, size_bytes: file.size_bytes })
            .collect(),
        provider_message_id: message.provider_message_id,
        // Values that failed validation are recorded in `fields`; the placeholder is never used.
        sent_at: sent_at.flatten(),
        transport: transport.unwrap_or(Transport::Unspecified),
    };
    let text = given.check(&mut fields, app.clock.now());
    fields.finish(|| text)
}

pub(super) async fn receive_message(
    app: &App,
    caller: &Principal,
    message: ReceiveMessageRequest,
) -> Result<ReceiveMessageResponse> {
    let text = parse(app, message)?;
    caller.router()?;
    Ok(encode(inbound::receive(app, text).await?))
}

fn encode(outcome: Outcome) -> ReceiveMessageResponse {
    let mut answer = ReceiveMessageResponse::default();
    match outcome {
        Outcome::Connected { connection_id, line_number, reply } => {
            answer.set_outcome(ReceiveOutcome::Connected);
            answer.connection_id = Some(connection_id.to_string());
            answer.line_number = Some(line_number.into_string());
            answer.reply_text = Some(reply);
        }
        Outcome::Disconnected { connection_id, reply } => {
            answer.set_outcome(ReceiveOutcome::Disconnected);
            answer.connection_id = Some(connection_id.to_string());
            answer.reply_text = Some(reply);
        }
        Outcome::Refused { reply } => {
            answer.set_outcome(ReceiveOutcome::Refused);
            answer.reply_text = Some(reply);
        }
        Outcome::Help { reply } => {
            answer.set_outcome(ReceiveOutcome::Help);
            answer.reply_text = Some(reply);
        }
        Outcome::DuplicateCommand { connection_id } => {
            answer.set_outcome(ReceiveOutcome::Duplicate);
            answer.connection_id = connection_id.map(|id| id.to_string());
        }
        Outcome::Stored(stored) => encode_stored(&mut answer, ReceiveOutcome::Stored, stored),
        Outcome::StoredBlocked(stored) => encode_stored(&mut answer, ReceiveOutcome::StoredBlocked, stored),
        Outcome::Duplicate(stored) => encode_stored(&mut answer, ReceiveOutcome::Duplicate, stored),
        Outcome::Forgotten => answer.set_outcome(ReceiveOutcome::Duplicate),
        Outcome::NotConnected => answer.set_outcome(ReceiveOutcome::NotConnected),
        Outcome::IdentityDisabled => answer.set_outcome(ReceiveOutcome::IdentityDisabled),
    }
    answer
}

fn encode_stored(answer: &mut ReceiveMessageResponse, outcome: ReceiveOutcome, stored: StoredMessage) {
    answer.set_outcome(outcome);
    answer.connection_id = Some(stored.connection_id.to_string());
    answer.conversation_id = Some(stored.conversation_id.to_string());
    answer.message_id = Some(stored.message_id.to_string());
}
