//! Parses the webhooks of BlueBubbles servers.

use serde_json::Value;

use super::event::{Event, StatusUpdate, delivery_error};
use super::json::{code, flag, millis, text};
use crate::domain::{DeliveryStatus, Media, ReactionType, Transport};
use crate::messaging::inbound::{RawDeliveryUpdate, RawReaction, RawText};

/// The placeholder of a file in a text: U+FFFC, object replacement character.
const FILE_PLACEHOLDER: char = '\u{fffc}';

/// Parses a webhook of the server that serves `line`.
pub(super) fn parse(line: &str, body: &Value) -> Event {
    let Some(data) = body.get("data").filter(|data| data.is_object()) else {
        return Event::Ignored("an event without data");
    };
    match text(body, "type") {
        _ if is_group(data) => Event::Ignored("a group chat"),
        Some("new-message") if flag(data, "isFromMe") => Event::Ignored("an echo"),
        Some("new-message") => inbound(line, data),
        // Updates of a human's message, such as an edit, are ignored: the stored text stays as it was first received.
        Some("updated-message") if flag(data, "isFromMe") => status_update(line, data, None),
        Some("message-send-error") => status_update(line, data, Some(DeliveryStatus::Error)),
        _ => Event::Ignored("an event of another type"),
    }
}

fn is_group(data: &Value) -> bool {
    let chats = data.get("chats").and_then(Value::as_array).into_iter().flatten();
    chats.filter_map(|chat| text(chat, "guid")).any(|guid| guid.contains(";+;"))
}

fn inbound(line: &str, message: &Value) -> Event {
    let remote_number =
        message.get("handle").and_then(|handle| text(handle, "address")).unwrap_or_default().to_owned();
    if remote_number.contains('@') {
        return Event::Ignored("from an e-mail address");
    }
    if let Some((reaction, removed)) = tapback_kind(message)
        && let Some((part_index, target)) = text(message, "associatedMessageGuid").map(target)
    {
        let emoji = text(message, "associatedMessageEmoji").map(str::to_owned);
        return Event::Tapback(RawReaction {
            line_number: line.to_owned(),
            remote_number,
            target_provider_message_id: target.to_owned(),
            reaction: Some(reaction),
            custom_emoji: emoji.filter(|_| reaction == ReactionType::Custom),
            part_index,
            removed,
        });
    }
    let content = text(message, "text");
    let has_only_placeholders =
        |content: &&str| content.chars().all(|c| c == FILE_PLACEHOLDER || c.is_whitespace());
    let content = content.filter(|content| !has_only_placeholders(content)).map(str::to_owned);
    let media: Vec<_> =
        message.get("attachments").and_then(Value::as_array).into_iter().flatten().filter_map(file).collect();
    if content.is_none() && media.is_empty() {
        return Event::Ignored("a message without text and files");
    }
    Event::Text(RawText {
        line_number: line.to_owned(),
        remote_number,
        text: content,
        media,
        provider_message_id: text(message, "guid").unwrap_or_default().to_owned(),
        sent_at: millis(message, "dateCreated"),
        transport: transport(message),
    })
}

/// Only the id of a file is stored. Its URL at the server would contain the server's password, which must not be stored
/// in a message. The operator of the server can find the file by its id.
fn file(attachment: &Value) -> Option<Media> {
    Some(Media {
        url: format!("bluebubbles:attachment/{}", text(attachment, "guid")?),
        content_type: text(attachment, "mimeType").map(str::to_owned),
        size_bytes: attachment.get("totalBytes").and_then(Value::as_i64).filter(|bytes| *bytes >= 0),
    })
}

fn transport(message: &Value) -> Transport {
    let chats = message.get("chats").and_then(Value::as_array).into_iter().flatten();
    let mut services = chats.filter_map(|chat| text(chat, "guid")).filter_map(|guid| guid.split(';').next());
    let service =
        services.next().or_else(|| message.get("handle").and_then(|handle| text(handle, "service")));
    match service {
        Some("SMS") => Transport::Sms,
        Some("RCS") => Transport::Rcs,
        _ => Transport::IMessage,
    }
}

/// The kind of a tapback, and whether it removes one; `None` for other messages, such as stickers and replies.
fn tapback_kind(message: &Value) -> Option<(ReactionType, bool)> {
    let kind = code(message, "associatedMessageType")?;
    let (name, removed) = match kind.strip_prefix('-') {
        Some(name) => (name, true),
        None => (
            kind.as_str(),
            matches!(kind.as_str(), "3000" | "3001" | "3002" | "3003" | "3004" | "3005" | "3006"),
        ),
    };
    let reaction = match name {
        "love" | "2000" | "3000" => ReactionType::Love,
        "like" | "2001" | "3001" => ReactionType::Like,
        "dislike" | "2002" | "3002" => ReactionType::Dislike,
        "laugh" | "2003" | "3003" => ReactionType::Laugh,
        "emphasize" | "2004" | "3004" => ReactionType::Emphasize,
        "question" | "2005" | "3005" => ReactionType::Question,
        // Any emoji. The field that names it may be absent.
        "emoji" | "2006" | "3006" => {
            text(message, "associatedMessageEmoji")?;
            ReactionType::Custom
        }
        _ => return None,
    };
    Some((reaction, removed))
}

/// The part and the guid in `p:0/GUID`, `bp:GUID` or `GUID`.
fn target(associated: &str) -> (i32, &str) {
    if let Some(rest) = associated.strip_prefix("p:")
        && let Some((part, guid)) = rest.split_once('/')
    {
        // An invalid part becomes -1, which the validation rejects.
        return (part.parse().unwrap_or(-1), guid);
    }
    (0, associated.strip_prefix("bp:").unwrap_or(associated))
}

/// `status` is the status that the type of the webhook implies.
fn status_update(line: &str, message: &Value, status: Option<DeliveryStatus>) -> Event {
    let error = code(message, "error").filter(|code| code != "0");
    let is_delivered = ["dateRead", "dateDelivered"].iter().any(|name| millis(message, name).is_some());
    let status = match status {
        Some(status) => status,
        None if error.is_some() => DeliveryStatus::Error,
        None if is_delivered => DeliveryStatus::Delivered,
        None => return Event::Ignored("an echo without a status"),
    };
    let ids = ["guid", "tempGuid"].map(|name| text(message, name).map(str::to_owned));
    let [guid, temp_guid] = ids;
    let (id, other_id) = match guid {
        Some(guid) => (guid, temp_guid),
        None => (temp_guid.unwrap_or_default(), None),
    };
    Event::Status(StatusUpdate {
        update: RawDeliveryUpdate {
            line_number: line.to_owned(),
            provider_message_id: id,
            status: Some(status),
            error: status.is_failure().then(|| delivery_error(error.as_deref())),
            was_downgraded: false,
        },
        other_id,
        sent_at: millis(message, "dateCreated"),
    })
}

#[cfg(test)]
mod tests;
