//! The webhooks of BlueBubbles servers.

use serde_json::Value;

use super::event::{Event, News, why};
use super::json::{code, flag, millis, text};
use crate::domain::{DeliveryStatus, Media, ReactionType, Transport};
use crate::messaging::inbound::{RawDeliveryUpdate, RawReaction, RawText};

/// What stands in a text for each of its files.
const FILE_MARK: char = '\u{fffc}';

/// Reads a webhook of the server whose line this is.
pub(super) fn parse(line: &str, body: &Value) -> Event {
    let Some(data) = body.get("data").filter(|data| data.is_object()) else {
        return Event::Ignored("an event without data");
    };
    match text(body, "type") {
        _ if is_group(data) => Event::Ignored("a group"),
        Some("new-message") if flag(data, "isFromMe") => Event::Ignored("an echo"),
        Some("new-message") => received(line, data),
        // A human's own changes, such as an edit, are not kept; what was said stays as it was said.
        Some("updated-message") if flag(data, "isFromMe") => news(line, data, None),
        Some("message-send-error") => news(line, data, Some(DeliveryStatus::Error)),
        _ => Event::Ignored("an event of another type"),
    }
}

fn is_group(data: &Value) -> bool {
    let chats = data.get("chats").and_then(Value::as_array).into_iter().flatten();
    chats.filter_map(|chat| text(chat, "guid")).any(|guid| guid.contains(";+;"))
}

fn received(line: &str, message: &Value) -> Event {
    let remote_number =
        message.get("handle").and_then(|handle| text(handle, "address")).unwrap_or_default().to_owned();
    if remote_number.contains('@') {
        return Event::Ignored("from an e-mail address");
    }
    if let Some((reaction, removed)) = kind_of_tapback(message)
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
    let said = text(message, "text");
    let only_marks = |said: &&str| said.chars().all(|c| c == FILE_MARK || c.is_whitespace());
    let said = said.filter(|said| !only_marks(said)).map(str::to_owned);
    let media: Vec<_> =
        message.get("attachments").and_then(Value::as_array).into_iter().flatten().filter_map(file).collect();
    if said.is_none() && media.is_empty() {
        return Event::Ignored("a message without text and files");
    }
    Event::Text(RawText {
        line_number: line.to_owned(),
        remote_number,
        text: said,
        media,
        provider_message_id: text(message, "guid").unwrap_or_default().to_owned(),
        sent_at: millis(message, "dateCreated"),
        transport: transport(message),
    })
}

/// The server serves its files to whoever has its password, which has no place in a message: so what is kept is the
/// file's id, for whoever runs the server.
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

/// Which tapback a message is, and whether it takes one back; `None` where it is none, such as a sticker or a reply.
fn kind_of_tapback(message: &Value) -> Option<(ReactionType, bool)> {
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
        // Any emoji; the server tells which in a field of its own, where it does.
        "emoji" | "2006" | "3006" => {
            text(message, "associatedMessageEmoji")?;
            ReactionType::Custom
        }
        _ => return None,
    };
    Some((reaction, removed))
}

/// Part and guid of `p:0/GUID`, `bp:GUID` or `GUID`.
fn target(associated: &str) -> (i32, &str) {
    if let Some(rest) = associated.strip_prefix("p:")
        && let Some((part, guid)) = rest.split_once('/')
    {
        // A part that is no number is refused with the others that no message has.
        return (part.parse().unwrap_or(-1), guid);
    }
    (0, associated.strip_prefix("bp:").unwrap_or(associated))
}

fn news(line: &str, message: &Value, known: Option<DeliveryStatus>) -> Event {
    let error = code(message, "error").filter(|code| code != "0");
    let reached = ["dateRead", "dateDelivered"].iter().any(|name| millis(message, name).is_some());
    let status = match known {
        Some(status) => status,
        None if error.is_some() => DeliveryStatus::Error,
        None if reached => DeliveryStatus::Delivered,
        None => return Event::Ignored("an echo without news"),
    };
    let ids = ["guid", "tempGuid"].map(|name| text(message, name).map(str::to_owned));
    let [guid, temp_guid] = ids;
    let (id, other_id) = match guid {
        Some(guid) => (guid, temp_guid),
        None => (temp_guid.unwrap_or_default(), None),
    };
    Event::News(News {
        given: RawDeliveryUpdate {
            line_number: line.to_owned(),
            provider_message_id: id,
            status: Some(status),
            error: status.is_failure().then(|| why(error.as_deref())),
            was_downgraded: false,
        },
        other_id,
        sent_at: millis(message, "dateCreated"),
    })
}

#[cfg(test)]
mod tests;
