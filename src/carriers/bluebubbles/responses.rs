//! The assessment of a BlueBubbles server's responses.

use serde::Deserialize;

use crate::carriers::carrier::Accepted;
use crate::carriers::client::assessment::Assessment;
use crate::carriers::client::http::HttpResponse;
use crate::carriers::error::{CarrierError, CarrierReason};

const PASSWORD: &str =
    "a BlueBubbles server refuses our password: check INKBOX_BLUEBUBBLES_PASSWORD and the password file";
const PRIVATE_API: &str =
    "a BlueBubbles server has no Private API: enable it there, and check that its helper is connected";
const ADDRESS: &str = "an address in INKBOX_BLUEBUBBLES_SERVERS is not that of a BlueBubbles server: it answers with a redirect";
/// Shown to agents.
const IMESSAGE_ERROR: &str = "the Mac could not send it: the code is Messages' own";

/// The kind of a request, which decides how an unclear response is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// A read receipt or typing: may be retried in any case.
    Idempotent,
    /// Adding or removing a tapback.
    Reaction,
    /// A message, which must not be sent twice.
    Message,
}

/// The fields of a response body that are used here.
#[derive(Debug, Deserialize)]
struct Envelope {
    data: Option<Data>,
    error: Option<ErrorDetails>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Data {
    Message(SentMessage),
    Other(serde::de::IgnoredAny),
}

#[derive(Debug, Deserialize)]
struct SentMessage {
    guid: String,
    #[serde(default)]
    error: i64,
}

#[derive(Debug, Default, Deserialize)]
struct ErrorDetails {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
}

/// The error of a message that the Messages app marked with an error code; 0 is no error.
pub(super) fn imessage_error(code: i64) -> Option<CarrierError> {
    (code != 0).then(|| CarrierError::Rejected(CarrierReason::new(&code.to_string(), IMESSAGE_ERROR)))
}

pub(super) fn assess(response: &HttpResponse, kind: RequestKind) -> Assessment<Accepted> {
    let transient =
        || CarrierError::Transient { retry_after: response.retry_after.unwrap_or(CarrierError::RETRY_AFTER) };
    let unless_idempotent = |error| if kind == RequestKind::Idempotent { transient() } else { error };
    let envelope = response.body.as_deref().and_then(|body| serde_json::from_slice::<Envelope>(body).ok());
    let (sent, details) = match envelope {
        Some(Envelope { data, error }) => {
            let sent = match data {
                Some(Data::Message(sent)) => Some(sent),
                Some(Data::Other(_)) | None => None,
            };
            (Some(sent), error.unwrap_or_default())
        }
        None => (None, ErrorDetails::default()),
    };
    let message_contains = |words: &str| details.message.as_deref().is_some_and(|text| text.contains(words));
    let failed = sent.as_ref().and_then(|sent| sent.as_ref()).and_then(|sent| imessage_error(sent.error));
    match response.status {
        200..300 => match (kind, sent, failed) {
            (_, _, Some(error)) => Assessment::of(Err(error)),
            (RequestKind::Message, Some(Some(sent)), None) => {
                Assessment::of(Ok(Accepted { provider_message_id: Some(sent.guid) }))
            }
            (RequestKind::Idempotent | RequestKind::Reaction, Some(_), None) => {
                Assessment::of(Ok(Accepted { provider_message_id: None }))
            }
            // The response may come from another program than the server, such as a tunnel's error page.
            _ => Assessment::carrier_fault(unless_idempotent(CarrierError::Unknown)),
        },
        300..400 => Assessment::misconfigured(ADDRESS),
        401 | 403 => Assessment::misconfigured(PASSWORD),
        // The server is sending the same message at this moment.
        400 if message_contains("already queued") => {
            Assessment::of(Err(unless_idempotent(CarrierError::Unknown)))
        }
        408 => Assessment::of(Err(unless_idempotent(CarrierError::Unknown))),
        429 => Assessment::of(Err(transient())),
        400..500 => Assessment::of(Err(CarrierError::REJECTED)),
        500 if message_contains("Private API") => Assessment::misconfigured(PRIVATE_API),
        500 if failed.is_some() => Assessment::of(Err(failed.unwrap_or(CarrierError::REJECTED))),
        // An error of this call, such as a chat that does not exist: the server works.
        500 if details.kind.as_deref() == Some("iMessage Error") => {
            Assessment::of(Err(unless_idempotent(CarrierError::Unknown)))
        }
        _ => Assessment::carrier_fault(unless_idempotent(CarrierError::Unknown)),
    }
}

#[cfg(test)]
#[path = "responses_tests.rs"]
mod tests;
