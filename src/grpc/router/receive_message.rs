//! `ReceiveMessage`.

use super::PROVIDER_ID_LIMIT;
use crate::app::App;
use crate::domain::{Media, Principal, TEXT_LIMIT, Transport};
use crate::error::Result;
use crate::grpc::caller::Caller as _;
use crate::grpc::request::Fields;
use crate::ingest::{self, Outcome};
use crate::proto::{self, ReceiveMessageRequest, ReceiveMessageResponse, ReceiveOutcome};
use crate::store::inbound::{InboundText, Stored};

/// Most files on one message. Carriers deliver one; the phone allows twenty.
const MOST_MEDIA: usize = 20;
/// The longest address of a file, in characters.
const URL_LIMIT: usize = 2_048;
/// The longest MIME type, in characters (RFC 6838: 127 on either side of the slash).
const CONTENT_TYPE_LIMIT: usize = 255;

fn parse(app: &App, message: ReceiveMessageRequest) -> Result<InboundText> {
    let mut fields = Fields::default();
    let line_number = fields.phone_number("line_number", &message.line_number);
    let remote_number = fields.phone_number("remote_number", &message.remote_number);
    let is_empty = message.text.as_ref().is_none_or(String::is_empty) && message.media.is_empty();
    if is_empty {
        fields.refuse("text", "is required where there is no media");
    }
    let text = match message.text {
        None => Some(None),
        Some(text) => fields.text("text", text, TEXT_LIMIT).map(Some),
    };
    let media = parse_media(&mut fields, message.media);
    let provider_message_id =
        fields.required_text("provider_message_id", message.provider_message_id, PROVIDER_ID_LIMIT);
    let sent_at = fields.timestamp("sent_at", message.sent_at);
    let transport =
        fields.optional_enum("transport", message.transport, Transport::from_wire, Transport::IMessage);
    let now = app.clock.now();
    fields.finish(|| {
        Some(InboundText {
            line_number: line_number?,
            remote_number: remote_number?,
            text: text?,
            media: media?,
            provider_message_id: provider_message_id?,
            // A carrier's clock may be ahead of ours; nothing is newer than now.
            sent_at: sent_at?.map_or(now, |sent_at| sent_at.min(now)),
            transport: transport?,
        })
    })
}

fn parse_media(fields: &mut Fields, media: Vec<proto::Media>) -> Option<Vec<Media>> {
    if media.len() > MOST_MEDIA {
        fields.refuse("media", format!("must be at most {MOST_MEDIA} files"));
        return None;
    }
    let mut parsed = Vec::with_capacity(media.len());
    for (i, file) in media.into_iter().enumerate() {
        let url = fields.required_text(&format!("media[{i}].url"), file.url, URL_LIMIT);
        let content_type = match file.content_type {
            None => Some(None),
            Some(content_type) => {
                fields.text(&format!("media[{i}].content_type"), content_type, CONTENT_TYPE_LIMIT).map(Some)
            }
        };
        if file.size_bytes.is_some_and(|size| size < 0) {
            fields.refuse(format!("media[{i}].size_bytes"), "must be 0 or more");
        }
        if let (Some(url), Some(content_type)) = (url, content_type) {
            parsed.push(Media { url, content_type, size_bytes: file.size_bytes });
        }
    }
    Some(parsed)
}

pub(super) async fn receive_message(
    app: &App,
    caller: &Principal,
    message: ReceiveMessageRequest,
) -> Result<ReceiveMessageResponse> {
    let text = parse(app, message)?;
    caller.router()?;
    Ok(encode(ingest::receive(app, text).await?))
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

fn encode_stored(answer: &mut ReceiveMessageResponse, outcome: ReceiveOutcome, stored: Stored) {
    answer.set_outcome(outcome);
    answer.connection_id = Some(stored.connection_id.to_string());
    answer.conversation_id = Some(stored.conversation_id.to_string());
    answer.message_id = Some(stored.message_id.to_string());
}
