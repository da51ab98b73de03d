//! Parses the webhooks of BlueBubbles servers.

use serde_json::Value;

use super::event::{Event, StatusUpdate, delivery_error};
use super::json::{code, flag, millis, text};
use super::normalize::{self, File, Sender, Words};
use super::tapback_text;
use crate::domain::{DeliveryStatus, Media, ReactionType, Transport};
use crate::messaging::inbound::{Change, RawDeliveryUpdate, RawReaction, RawText};

/// Between the service and the address in the guid of a chat with one person, such as `iMessage;-;+15551230001`.
const SEPARATOR: &str = ";-;";
/// The same in the guid of a group.
const GROUP_SEPARATOR: &str = ";+;";
/// The style of a group. A chat with one person has style 45.
const GROUP_STYLE: i64 = 43;

/// Parses a webhook of the server that serves `line`.
pub(super) fn parse(line: &str, body: &Value) -> Event {
    let Some(data) = body.get("data").filter(|data| data.is_object()) else {
        return Event::Ignored("an event without data");
    };
    match text(body, "type") {
        _ if is_group(data) => Event::Ignored("a group chat"),
        Some("new-message") if flag(data, "isFromMe") => sent(line, data),
        Some("new-message") => inbound(line, data, Delivery::New),
        Some("updated-message") if flag(data, "isFromMe") => status_update(line, data, None),
        Some("updated-message") => inbound(line, data, Delivery::Update),
        Some("message-send-error") => status_update(line, data, Some(DeliveryStatus::Error)),
        _ => Event::Ignored("an event of another type"),
    }
}

fn chats(message: &Value) -> impl Iterator<Item = &Value> {
    message.get("chats").and_then(Value::as_array).into_iter().flatten()
}

/// A group is known by the separator in its guid or by its style.
fn is_group(message: &Value) -> bool {
    chats(message).any(|chat| {
        text(chat, "guid").is_some_and(|guid| guid.contains(GROUP_SEPARATOR))
            || chat.get("style").and_then(Value::as_i64) == Some(GROUP_STYLE)
    })
}

/// What the type of a webhook says about a message of a human.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Delivery {
    New,
    /// A later state of a message. Servers do not name its chat, so that it may be from a group.
    Update,
}

fn inbound(line: &str, message: &Value, delivery: Delivery) -> Event {
    let handle = message.get("handle").unwrap_or(&Value::Null);
    let chat_address =
        chat_guids(message).find_map(|guid| guid.split_once(SEPARATOR)).map(|(_, address)| address);
    let remote_number = match normalize::sender([text(handle, "address"), chat_address], line) {
        Sender::Number(number) => number,
        Sender::NoNumber(reason) => return Event::Ignored(reason),
    };
    let words = words(message);
    match Association::of(message, words.text) {
        Some(Association::Tapback { reaction, custom_emoji, removed }) => {
            // It may have been removed since.
            if delivery == Delivery::Update {
                return Event::Ignored("an update of a tapback");
            }
            if let Some((part_index, target)) = text(message, "associatedMessageGuid").map(target) {
                return Event::Tapback(RawReaction {
                    line_number: line.to_owned(),
                    remote_number,
                    target_provider_message_id: target.to_owned(),
                    reaction: Some(reaction),
                    custom_emoji,
                    part_index,
                    removed,
                    put_at: None,
                });
            }
        }
        Some(Association::NoText(reason)) => return Event::Ignored(reason),
        None => {}
    }
    let raw = raw_text(line, message, remote_number, words);
    // A server may also deliver a new message a second time without its chat.
    let is_new = delivery == Delivery::New && chats(message).next().is_some();
    match (is_new, raw.is_empty()) {
        (true, false) => Event::Text(raw),
        // A card stays without words and files.
        (true, true) if words.is_card => Event::Ignored("a message without text and files"),
        (true, true) => Event::Empty(raw),
        (false, _) => Event::Update(raw, change(message)),
    }
}

fn words(message: &Value) -> Words<'_> {
    Words {
        subject: text(message, "subject"),
        text: text(message, "text"),
        is_card: text(message, "balloonBundleId").is_some(),
    }
}

fn chat_guids(message: &Value) -> impl Iterator<Item = &str> {
    chats(message).filter_map(|chat| text(chat, "guid"))
}

fn raw_text(line: &str, message: &Value, remote_number: String, words: Words<'_>) -> RawText {
    let media = message.get("attachments").and_then(Value::as_array).into_iter().flatten().filter_map(file);
    let handle = message.get("handle").unwrap_or(&Value::Null);
    let services = chat_guids(message).filter_map(|guid| guid.split(';').next());
    let transport = services.chain(text(handle, "service")).find_map(normalize::transport);
    RawText {
        line_number: line.to_owned(),
        remote_number,
        text: words.text(),
        media: media.collect(),
        provider_message_id: text(message, "guid").unwrap_or_default().to_owned(),
        sent_at: normalize::sent_at(millis(message, "dateCreated")),
        transport: transport.unwrap_or(Transport::Unspecified),
        reply_to: text(message, "threadOriginatorGuid").map(|guid| target(guid).1.to_owned()),
        chat: chat_guids(message).find(|guid| guid.contains(SEPARATOR)).map(str::to_owned),
    }
}

/// A message from the account of the line: one that this service sent, or that a person sent by hand.
fn sent(line: &str, message: &Value) -> Event {
    // Without its chat, it may be to a group. A failed message has not reached the human.
    let has_failed = code(message, "error").is_some_and(|code| code != "0");
    if chats(message).next().is_none() || has_failed || Association::of(message, None).is_some() {
        return Event::Ignored("an echo");
    }
    let handle = message.get("handle").unwrap_or(&Value::Null);
    let chat_address = chat_guids(message).find_map(|guid| guid.split_once(SEPARATOR));
    let addresses = [chat_address.map(|(_, address)| address), text(handle, "address")];
    let Sender::Number(remote_number) = normalize::sender(addresses, line) else {
        return Event::Ignored("an echo");
    };
    let raw = raw_text(line, message, remote_number, words(message));
    if raw.is_empty() {
        return Event::Ignored("an echo");
    }
    Event::Sent(raw, text(message, "tempGuid").map(str::to_owned))
}

/// Edits and retractions. Apple does not always set a time of retraction: a message is also taken back if it was edited
/// and all of its parts are listed as retracted, so that none is left.
fn change(message: &Value) -> Change {
    let edited_at = millis(message, "dateEdited");
    let summary = message.get("messageSummaryInfo").and_then(|summaries| summaries.get(0));
    let has_retracted_parts = summary
        .and_then(|summary| summary.get("retractedParts"))
        .and_then(Value::as_array)
        .is_some_and(|parts| !parts.is_empty());
    let has_no_parts = message.get("partCount").and_then(Value::as_i64) == Some(0);
    let retracted_at = millis(message, "dateRetracted")
        .or_else(|| edited_at.filter(|_| has_retracted_parts && has_no_parts));
    Change { edited_at, retracted_at }
}

/// Only the id of a file is stored. Its URL at the server would contain the server's password, which must not be stored
/// in a message. The operator of the server can find the file by its id.
fn file(attachment: &Value) -> Option<Media> {
    let file = File {
        url: format!("bluebubbles:attachment/{}", text(attachment, "guid")?),
        name: text(attachment, "transferName"),
        content_type: text(attachment, "mimeType"),
        size_bytes: attachment.get("totalBytes").and_then(Value::as_i64),
        is_hidden: flag(attachment, "hideAttachment"),
    };
    file.media()
}

/// What a message does to an earlier one.
enum Association {
    Tapback {
        reaction: ReactionType,
        custom_emoji: Option<String>,
        removed: bool,
    },
    /// Something that is never a text, for this reason.
    NoText(&'static str),
}

impl Association {
    /// `None` for texts, replies among them. `words` is the text, which names the emoji if no field does.
    fn of(message: &Value, words: Option<&str>) -> Option<Self> {
        let kind = code(message, "associatedMessageType")?;
        let (name, has_minus) = kind.strip_prefix('-').map_or((kind.as_str(), false), |name| (name, true));
        let reaction = match name {
            "love" | "2000" | "3000" => ReactionType::Love,
            "like" | "2001" | "3001" => ReactionType::Like,
            "dislike" | "2002" | "3002" => ReactionType::Dislike,
            "laugh" | "2003" | "3003" => ReactionType::Laugh,
            "emphasize" | "2004" | "3004" => ReactionType::Emphasize,
            "question" | "2005" | "3005" => ReactionType::Question,
            "emoji" | "2006" | "3006" => ReactionType::Custom,
            "2007" | "3007" => return Some(Self::NoText("a sticker on a message")),
            "4000" => return Some(Self::NoText("a vote in a poll")),
            _ => return None,
        };
        let removed = has_minus || name.starts_with('3');
        if reaction != ReactionType::Custom {
            return Some(Self::Tapback { reaction, custom_emoji: None, removed });
        }
        let named = text(message, "associatedMessageEmoji").map(str::to_owned);
        let custom_emoji = named.or_else(|| tapback_text::emoji(words?))?;
        Some(Self::Tapback { reaction, custom_emoji: Some(custom_emoji), removed })
    }
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
        // Of a message that was sent by hand, the server posts `new-message` as well.
        message: None,
    })
}

#[cfg(test)]
mod tests;
