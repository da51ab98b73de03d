//! The assessment of Sendblue's responses.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::carriers::carrier::Accepted;
use crate::carriers::client::assessment::{Assessment, Fault};
use crate::carriers::client::http::HttpResponse;
use crate::carriers::error::{CarrierError, CarrierReason};

const CREDENTIALS: &str =
    "Sendblue refuses our credentials: check INKBOX_SENDBLUE_API_KEY_ID and INKBOX_SENDBLUE_API_SECRET_KEY";
const ADDRESS: &str = "INKBOX_SENDBLUE_URL is not the address of Sendblue's API: it answers with a redirect";

/// The kind of a request, which decides how an unclear response is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestKind {
    /// A read receipt or typing: may be retried in any case.
    Idempotent,
    /// A tapback.
    Reaction,
    /// A message, which must not be sent twice.
    Message,
}

/// The fields of a response body that are used here. Any of them may be absent.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub(super) status: Option<String>,
    pub(super) message_handle: Option<String>,
    error_code: Option<Value>,
}

/// The meaning of an error code.
enum Meaning {
    /// Permanent, for this reason. The reason is shown to agents.
    Rejected(&'static str),
    Transient,
    /// The action may have been performed, whatever the HTTP status is.
    Ambiguous,
    /// Sendblue failed.
    Broken,
}

fn meaning(code: &str) -> Option<Meaning> {
    Some(match code {
        "4000" => Meaning::Rejected("the carrier finds the request not valid"),
        "4002" => Meaning::Rejected("the number is on the carrier's blacklist"),
        "10001" => Meaning::Rejected("the carrier failed to send it"),
        "SMS_LIMIT_REACHED" => Meaning::Rejected("the line has sent as many SMS as it may"),
        "22" => Meaning::Rejected("the number cannot be reached by iMessage"),
        "4001" | "5003" | "5509" => Meaning::Transient,
        "10002" => Meaning::Ambiguous,
        "5000" => Meaning::Broken,
        _ => return None,
    })
}

impl Record {
    /// The error code, if there is one. Sendblue represents codes as numbers or strings, and no error as 0, "" or null.
    fn code(&self) -> Option<String> {
        match self.error_code.as_ref()? {
            Value::Number(number) => Some(number.to_string()).filter(|code| code != "0"),
            Value::String(text) => Some(text.clone()).filter(|code| !matches!(code.as_str(), "" | "0")),
            _ => None,
        }
    }

    /// Whether the record reports that the action was not performed. HTTP status 200 does not exclude this.
    fn is_failure(&self) -> bool {
        matches!(self.status.as_deref(), Some("ERROR" | "DECLINED"))
    }

    /// The result of sending a listed message; `None` if Sendblue does not know it.
    pub(super) fn send_result(&self) -> Option<Result<(), CarrierError>> {
        if !self.is_failure() {
            return Some(Ok(()));
        }
        let code = self.code();
        match code.as_deref().and_then(meaning) {
            Some(Meaning::Ambiguous | Meaning::Broken) => None,
            // Sendblue gave up on the message and will not send it any more.
            Some(Meaning::Transient) => Some(Err(CarrierError::TRANSIENT)),
            Some(Meaning::Rejected(reason)) => Some(Err(rejected(code.as_deref(), reason))),
            None => Some(Err(rejected(code.as_deref(), UNDOCUMENTED))),
        }
    }
}

/// The reason for codes that Sendblue does not document. It is shown to agents.
const UNDOCUMENTED: &str = "the carrier gave its own code";

fn rejected(code: Option<&str>, reason: &'static str) -> CarrierError {
    CarrierError::Rejected(code.and_then(|code| CarrierReason::new(code, reason)))
}

/// Also applies `x-should-retry`, which can only make a message's error more permanent.
pub(super) fn assess(response: &HttpResponse, kind: RequestKind) -> Assessment<Accepted> {
    let assessment = assess_status_and_body(response, kind);
    match (response.should_retry, &assessment.outcome) {
        (Some(false), Err(CarrierError::Transient { .. })) => {
            Assessment { outcome: Err(CarrierError::REJECTED), fault: assessment.fault }
        }
        (Some(true), Err(CarrierError::Rejected(None)))
            if kind == RequestKind::Idempotent && assessment.fault == Fault::None =>
        {
            Assessment::of(Err(transient(response)))
        }
        _ => assessment,
    }
}

fn assess_status_and_body(response: &HttpResponse, kind: RequestKind) -> Assessment<Accepted> {
    let unless_idempotent = |error| if kind == RequestKind::Idempotent { transient(response) } else { error };
    let record = response.body.as_deref().and_then(|body| serde_json::from_slice::<Record>(body).ok());
    let is_success = (200..300).contains(&response.status);
    match response.status {
        401 => return Assessment::misconfigured(CREDENTIALS),
        300..=399 => return Assessment::misconfigured(ADDRESS),
        _ => {}
    }
    if let Some(record) = &record
        && (!is_success || record.is_failure())
        && let Some(code) = record.code()
    {
        match meaning(&code) {
            Some(Meaning::Rejected(reason)) => return Assessment::of(Err(rejected(Some(&code), reason))),
            Some(Meaning::Transient) => return Assessment::of(Err(transient(response))),
            Some(Meaning::Ambiguous) => return Assessment::of(Err(unless_idempotent(CarrierError::Unknown))),
            Some(Meaning::Broken) => {
                return Assessment::carrier_fault(unless_idempotent(CarrierError::Unknown));
            }
            None if response.status < 500 && !matches!(response.status, 403 | 408 | 409 | 429) => {
                return Assessment::of(Err(rejected(Some(&code), UNDOCUMENTED)));
            }
            None => {}
        }
    }
    match (response.status, record) {
        (200..300, Some(record)) if record.is_failure() => Assessment::of(Err(CarrierError::REJECTED)),
        (200..300, Some(record)) => {
            let provider_message_id = record.message_handle.filter(|_| kind == RequestKind::Message);
            Assessment::of(Ok(Accepted {
                provider_message_id: provider_message_id.filter(|id| !id.is_empty()),
            }))
        }
        (403, _) => Assessment::misconfigured(CREDENTIALS),
        (429, _) => Assessment::of(Err(transient(response))),
        (408 | 409, _) => Assessment::of(Err(unless_idempotent(CarrierError::Unknown))),
        (400..500, _) => Assessment::of(Err(CarrierError::REJECTED)),
        // Includes a success without a record: the response may come from another program than Sendblue's API.
        _ => Assessment::carrier_fault(unless_idempotent(CarrierError::Unknown)),
    }
}

fn transient(response: &HttpResponse) -> CarrierError {
    CarrierError::Transient {
        retry_after: response.retry_after.unwrap_or(CarrierError::RETRY_AFTER).max(Duration::from_millis(1)),
    }
}

#[cfg(test)]
#[path = "responses_tests.rs"]
mod tests;
