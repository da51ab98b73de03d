//! Parses Sendblue's webhooks.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::event::{Event, StatusUpdate, delivery_error};
use super::json::{code, first, flag, text, time};
use super::normalize::{self, File, Sender, Words};
use crate::domain::{DeliveryStatus, Transport};
use crate::messaging::inbound::{RawDeliveryUpdate, RawText};

/// Parses a webhook of the account: a message of a human, or the echo of an outbound message.
pub(super) fn parse(body: &Value) -> Event {
    let message_handle = text(body, "message_handle");
    let has_content = text(body, "content").is_some() || media_urls(body).next().is_some();
    if message_handle.is_none() && !has_content {
        return Event::Ignored("not a message");
    }
    if is_group(body) {
        return Event::Ignored("a group chat");
    }
    if flag(body, "opted_out") {
        tracing::warn!("a human has opted out: Sendblue rejects messages to their number");
    }
    if flag(body, "is_outbound") {
        return sent(body);
    }
    let line_number =
        normalize::line_number(first(body, &["sendblue_number", "to_number"]).unwrap_or_default());
    let senders = [text(body, "from_number"), text(body, "number")];
    let remote_number = match normalize::sender(senders, &line_number) {
        Sender::Number(number) => number,
        Sender::NoNumber(reason) => return Event::Ignored(reason),
    };
    let raw = raw_text(body, &line_number, remote_number);
    if raw.is_empty() {
        return Event::Ignored("a message without text and files");
    }
    Event::Text(raw)
}

fn raw_text(body: &Value, line_number: &str, remote_number: String) -> RawText {
    RawText {
        line_number: line_number.to_owned(),
        provider_message_id: text(body, "message_handle")
            .map_or_else(|| made_id(body, &[line_number, &remote_number]), str::to_owned),
        remote_number,
        text: Words { text: text(body, "content"), ..Words::default() }.text(),
        media: media_urls(body).filter_map(|url| File { url, ..File::default() }.media()).collect(),
        sent_at: normalize::sent_at(time(body, "date_sent")),
        transport: match text(body, "service") {
            Some(service) => normalize::transport(service).unwrap_or(Transport::Unspecified),
            // Older bodies do not have the field, and are of messages by iMessage.
            None => Transport::IMessage,
        },
        chat: None,
        reply_to: None,
    }
}

/// A message of the account with its status. The type `outbound` is posted for each message that is sent, also from the
/// dashboard.
fn sent(body: &Value) -> Event {
    let mut event = status_update(body);
    if let Event::Status(update) = &mut event
        && update.update.status.is_some_and(|status| !status.is_failure())
        && let Sender::Number(remote_number) =
            normalize::sender([text(body, "number"), text(body, "to_number")], &update.update.line_number)
    {
        let raw = raw_text(body, &update.update.line_number, remote_number);
        update.message = Some(raw).filter(|raw| !raw.is_empty() && text(body, "message_handle").is_some());
    }
    event
}

/// The files of a message: one, or several.
fn media_urls(body: &Value) -> impl Iterator<Item = String> {
    let several = body.get("media_urls").and_then(Value::as_array).into_iter().flatten();
    let several = several.filter_map(Value::as_str).filter(|url| !url.is_empty());
    let single = text(body, "media_url").filter(|_| several.clone().next().is_none());
    single.into_iter().chain(several).map(str::to_owned)
}

/// An id for a message that has none, the same for each delivery of it.
fn made_id(body: &Value, numbers: &[&str]) -> String {
    let parts = ["content", "media_url", "date_sent"].map(|name| text(body, name).unwrap_or_default());
    let mut digest = Sha256::new();
    for part in numbers.iter().chain(&parts) {
        digest.update(part);
        digest.update([0]);
    }
    format!("made-{}", BASE64_URL_SAFE_NO_PAD.encode(digest.finalize()))
}

/// Parses a webhook of the status URL, which is authenticated only by the token in its URL. So no other event than a
/// status update is accepted there.
pub(super) fn parse_status(body: &Value) -> Event {
    if is_group(body) {
        return Event::Ignored("a group chat");
    }
    if body.get("is_outbound").and_then(Value::as_bool) == Some(false) {
        return Event::Ignored("not an outbound message");
    }
    status_update(body)
}

fn is_group(body: &Value) -> bool {
    let participants = body.get("participants").and_then(Value::as_array).map_or(0, Vec::len);
    let is_group_type = text(body, "message_type").is_some_and(|kind| kind.eq_ignore_ascii_case("group"));
    text(body, "group_id").is_some() || is_group_type || participants > 2
}

fn status_update(body: &Value) -> Event {
    let Some(status) = text(body, "status").and_then(status) else {
        return Event::Ignored("an echo without a status");
    };
    Event::Status(StatusUpdate {
        update: RawDeliveryUpdate {
            line_number: normalize::line_number(
                first(body, &["sendblue_number", "from_number"]).unwrap_or_default(),
            ),
            provider_message_id: text(body, "message_handle").unwrap_or_default().to_owned(),
            status: Some(status),
            error: status.is_failure().then(|| delivery_error(code(body, "error_code").as_deref())),
            was_downgraded: flag(body, "was_downgraded"),
        },
        other_id: None,
        sent_at: time(body, "date_sent"),
        message: None,
    })
}

/// Maps Sendblue's status.
fn status(name: &str) -> Option<DeliveryStatus> {
    Some(match name.to_ascii_uppercase().as_str() {
        "REGISTERED" => DeliveryStatus::Registered,
        "PENDING" => DeliveryStatus::Pending,
        "QUEUED" => DeliveryStatus::Queued,
        "ACCEPTED" => DeliveryStatus::Accepted,
        // SUCCESS does not confirm that the message reached the phone, and DELIVERED would be final.
        "SENT" | "SUCCESS" => DeliveryStatus::Sent,
        // A message that was read was delivered.
        "DELIVERED" | "READ" => DeliveryStatus::Delivered,
        "DECLINED" => DeliveryStatus::Declined,
        "ERROR" => DeliveryStatus::Error,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
