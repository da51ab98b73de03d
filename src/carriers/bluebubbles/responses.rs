//! What each answer of a BlueBubbles server comes to. The only place that decides.

use serde::Deserialize;

use crate::carriers::client::api_client::Verdict;
use crate::carriers::client::http::Answer;
use crate::carriers::{Accepted, CarrierError, Said};

const PASSWORD: &str =
    "a BlueBubbles server refuses our password: check INKBOX_BLUEBUBBLES_PASSWORD and the password file";
const PRIVATE_API: &str =
    "a BlueBubbles server has no Private API: enable it there, and see that its helper is connected";
const ADDRESS: &str =
    "a BlueBubbles server is not where INKBOX_BLUEBUBBLES_SERVERS says: it answers with a redirect";
const IMESSAGE_ERROR: &str = "the Mac could not send it: the code is Messages' own";

/// What was asked for, as far as a fault is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A receipt or typing: may be asked for again whatever happened.
    Harmless,
    /// A tapback, or taking it back.
    Reaction,
    /// A message: must not be sent twice.
    Message,
}

/// What our code needs of an answer's body.
#[derive(Debug, Deserialize)]
struct Envelope {
    data: Option<Data>,
    error: Option<Fault>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Data {
    Message(Sent),
    Other(serde::de::IgnoredAny),
}

/// A message as the server shows it.
#[derive(Debug, Deserialize)]
struct Sent {
    guid: String,
    #[serde(default)]
    error: i64,
}

#[derive(Debug, Default, Deserialize)]
struct Fault {
    #[serde(rename = "type")]
    kind: Option<String>,
    message: Option<String>,
}

/// The failure of a message that Messages shows an error on.
pub(super) fn imessage_error(code: i64) -> Option<CarrierError> {
    (code != 0).then(|| CarrierError::Refused(Said::new(&code.to_string(), IMESSAGE_ERROR)))
}

/// What an answer comes to.
pub(super) fn judge(answer: &Answer, kind: Kind) -> Verdict<Accepted> {
    let passing =
        || CarrierError::Passing { retry_after: answer.retry_after.unwrap_or(CarrierError::RETRY_AFTER) };
    let unless_harmless = |failure| if kind == Kind::Harmless { passing() } else { failure };
    let envelope = answer.body.as_deref().and_then(|body| serde_json::from_slice::<Envelope>(body).ok());
    let (sent, fault) = match envelope {
        Some(Envelope { data, error }) => {
            let sent = match data {
                Some(Data::Message(sent)) => Some(sent),
                Some(Data::Other(_)) | None => None,
            };
            (Some(sent), error.unwrap_or_default())
        }
        None => (None, Fault::default()),
    };
    let says = |words: &str| fault.message.as_deref().is_some_and(|text| text.contains(words));
    let failed = sent.as_ref().and_then(|sent| sent.as_ref()).and_then(|sent| imessage_error(sent.error));
    match answer.status {
        200..300 => match (kind, sent, failed) {
            (_, _, Some(failure)) => Verdict::of(Err(failure)),
            (Kind::Message, Some(Some(sent)), None) => {
                Verdict::of(Ok(Accepted { provider_message_id: Some(sent.guid) }))
            }
            (Kind::Harmless | Kind::Reaction, Some(_), None) => {
                Verdict::of(Ok(Accepted { provider_message_id: None }))
            }
            // Another program than the server may have answered: a tunnel's own page.
            _ => Verdict::fault(unless_harmless(CarrierError::Unknown)),
        },
        300..400 => Verdict::set_up(ADDRESS),
        401 | 403 => Verdict::set_up(PASSWORD),
        // The same message is on its way at this moment.
        400 if says("already queued") => Verdict::of(Err(unless_harmless(CarrierError::Unknown))),
        408 => Verdict::of(Err(unless_harmless(CarrierError::Unknown))),
        429 => Verdict::of(Err(passing())),
        400..500 => Verdict::of(Err(CarrierError::REFUSED)),
        500 if says("Private API") => Verdict::set_up(PRIVATE_API),
        500 if failed.is_some() => Verdict::of(Err(failed.unwrap_or(CarrierError::REFUSED))),
        // Of this one call, or of a chat that is not there: the server is well.
        500 if fault.kind.as_deref() == Some("iMessage Error") => {
            Verdict::of(Err(unless_harmless(CarrierError::Unknown)))
        }
        _ => Verdict::fault(unless_harmless(CarrierError::Unknown)),
    }
}

#[cfg(test)]
#[path = "responses_tests.rs"]
mod table;
