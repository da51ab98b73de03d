//! Parses Sendblue's webhooks.

use serde_json::Value;

use super::event::{Event, StatusUpdate, delivery_error};
use super::json::{code, first, flag, text, time};
use crate::domain::{DeliveryStatus, Media, Transport};
use crate::messaging::inbound::{RawDeliveryUpdate, RawText};

/// Parses a webhook of the account: a message of a human, or the echo of an outbound message.
pub(super) fn parse(body: &Value) -> Event {
    let message_handle = text(body, "message_handle");
    let content = text(body, "content").or_else(|| text(body, "media_url"));
    if message_handle.is_none() && content.is_none() {
        return Event::Ignored("not a message");
    }
    if is_group(body) {
        return Event::Ignored("a group chat");
    }
    if flag(body, "opted_out") {
        tracing::warn!("a human has opted out: Sendblue rejects messages to their number");
    }
    if flag(body, "is_outbound") {
        return status_update(body);
    }
    Event::Text(RawText {
        line_number: first(body, &["sendblue_number", "to_number"]).unwrap_or_default().to_owned(),
        remote_number: first(body, &["from_number", "number"]).unwrap_or_default().to_owned(),
        text: text(body, "content").map(str::to_owned),
        media: text(body, "media_url")
            .map(|url| Media { url: url.to_owned(), content_type: None, size_bytes: None })
            .into_iter()
            .collect(),
        provider_message_id: message_handle.unwrap_or_default().to_owned(),
        sent_at: time(body, "date_sent"),
        transport: match text(body, "service") {
            Some(service) if service.eq_ignore_ascii_case("SMS") => Transport::Sms,
            Some(service) if service.eq_ignore_ascii_case("RCS") => Transport::Rcs,
            _ => Transport::IMessage,
        },
    })
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
    text(body, "group_id").is_some() || participants > 2
}

fn status_update(body: &Value) -> Event {
    let Some(status) = text(body, "status").and_then(status) else {
        return Event::Ignored("an echo without a status");
    };
    Event::Status(StatusUpdate {
        update: RawDeliveryUpdate {
            line_number: first(body, &["sendblue_number", "from_number"]).unwrap_or_default().to_owned(),
            provider_message_id: text(body, "message_handle").unwrap_or_default().to_owned(),
            status: Some(status),
            error: status.is_failure().then(|| delivery_error(code(body, "error_code").as_deref())),
            was_downgraded: flag(body, "was_downgraded"),
        },
        other_id: None,
        sent_at: time(body, "date_sent"),
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
