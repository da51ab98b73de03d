//! Sendblue's webhooks.

use serde_json::Value;

use super::event::{Event, News, why};
use super::json::{code, first, flag, text, time};
use crate::domain::{DeliveryStatus, Media, Transport};
use crate::messaging::inbound::{RawDeliveryUpdate, RawText};

/// Reads a webhook of the account: a human's text, or the echo of what was sent from a line.
pub(super) fn parse(body: &Value) -> Event {
    let message_handle = text(body, "message_handle");
    let said = text(body, "content").or_else(|| text(body, "media_url"));
    if message_handle.is_none() && said.is_none() {
        return Event::Ignored("an event that is no message");
    }
    if is_group(body) {
        return Event::Ignored("a group");
    }
    if flag(body, "opted_out") {
        tracing::warn!("a human has opted out: Sendblue refuses what is sent to them");
    }
    if flag(body, "is_outbound") {
        return news(body);
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

/// Reads a call of a message's own address for news. It has no secret but that address, so it says nothing else.
pub(super) fn parse_status(body: &Value) -> Event {
    if is_group(body) {
        return Event::Ignored("a group");
    }
    if body.get("is_outbound").and_then(Value::as_bool) == Some(false) {
        return Event::Ignored("no news of a message of ours");
    }
    news(body)
}

fn is_group(body: &Value) -> bool {
    let participants = body.get("participants").and_then(Value::as_array).map_or(0, Vec::len);
    text(body, "group_id").is_some() || participants > 2
}

fn news(body: &Value) -> Event {
    let Some(status) = text(body, "status").and_then(status) else {
        return Event::Ignored("an echo without a status");
    };
    Event::News(News {
        given: RawDeliveryUpdate {
            line_number: first(body, &["sendblue_number", "from_number"]).unwrap_or_default().to_owned(),
            provider_message_id: text(body, "message_handle").unwrap_or_default().to_owned(),
            status: Some(status),
            error: status.is_failure().then(|| why(code(body, "error_code").as_deref())),
            was_downgraded: flag(body, "was_downgraded"),
        },
        other_id: None,
        sent_at: time(body, "date_sent"),
    })
}

/// Sendblue's word for how far a message has come.
fn status(word: &str) -> Option<DeliveryStatus> {
    Some(match word.to_ascii_uppercase().as_str() {
        "REGISTERED" => DeliveryStatus::Registered,
        "PENDING" => DeliveryStatus::Pending,
        "QUEUED" => DeliveryStatus::Queued,
        "ACCEPTED" => DeliveryStatus::Accepted,
        // SUCCESS does not say that it reached the phone, and what is delivered is delivered for good.
        "SENT" | "SUCCESS" => DeliveryStatus::Sent,
        // What was read was delivered.
        "DELIVERED" | "READ" => DeliveryStatus::Delivered,
        "DECLINED" => DeliveryStatus::Declined,
        "ERROR" => DeliveryStatus::Error,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
