//! What each answer of Sendblue's API comes to. The only place that decides.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::carriers::client::api_client::{Blame, Verdict};
use crate::carriers::client::http::Answer;
use crate::carriers::{Accepted, CarrierError, Said};

const CREDENTIALS: &str =
    "Sendblue refuses our credentials: check INKBOX_SENDBLUE_API_KEY_ID and INKBOX_SENDBLUE_API_SECRET_KEY";
const ADDRESS: &str = "Sendblue's API is not where INKBOX_SENDBLUE_URL says: it answers with a redirect";

/// What was asked for, as far as a fault is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A receipt or typing: may be asked for again whatever happened.
    Harmless,
    /// A tapback.
    Reaction,
    /// A message: must not be sent twice.
    Message,
}

/// What our code needs of an answer's body. Absent fields are usual.
#[derive(Debug, Deserialize)]
pub(super) struct Record {
    pub(super) status: Option<String>,
    pub(super) message_handle: Option<String>,
    error_code: Option<Value>,
}

/// What a code of Sendblue's means for us.
enum Meaning {
    ForGood(&'static str),
    Passing,
    /// Whatever the HTTP status: it may have been done.
    Ambiguous,
    /// Sendblue failed.
    Broken,
}

fn meaning(code: &str) -> Option<Meaning> {
    Some(match code {
        "4000" => Meaning::ForGood("the carrier finds the request not valid"),
        "4002" => Meaning::ForGood("the number is on the carrier's blacklist"),
        "10001" => Meaning::ForGood("the carrier failed to send it"),
        "SMS_LIMIT_REACHED" => Meaning::ForGood("the line has sent as many SMS as it may"),
        "22" => Meaning::ForGood("the number cannot be reached by iMessage"),
        "4001" | "5003" | "5509" => Meaning::Passing,
        "10002" => Meaning::Ambiguous,
        "5000" => Meaning::Broken,
        _ => return None,
    })
}

impl Record {
    /// The error code, where there is one; Sendblue writes it as a number, as text, as 0 and as null.
    fn code(&self) -> Option<String> {
        match self.error_code.as_ref()? {
            Value::Number(number) => Some(number.to_string()).filter(|code| code != "0"),
            Value::String(text) => Some(text.clone()).filter(|code| !matches!(code.as_str(), "" | "0")),
            _ => None,
        }
    }

    /// Whether the record says that the thing was not done. HTTP 200 may carry it.
    fn is_failure(&self) -> bool {
        matches!(self.status.as_deref(), Some("ERROR" | "DECLINED"))
    }

    /// What became of a message in Sendblue's list; `None` where Sendblue does not know itself.
    pub(super) fn standing(&self) -> Option<Result<(), CarrierError>> {
        if !self.is_failure() {
            return Some(Ok(()));
        }
        let code = self.code();
        match code.as_deref().and_then(meaning) {
            Some(Meaning::Ambiguous | Meaning::Broken) => None,
            // Sendblue gave up on it: it will not be sent any more.
            Some(Meaning::Passing) => Some(Err(CarrierError::PASSING)),
            Some(Meaning::ForGood(why)) => Some(Err(refused(code.as_deref(), why))),
            None => Some(Err(refused(code.as_deref(), OTHER))),
        }
    }
}

/// For codes that are not in Sendblue's list.
const OTHER: &str = "the carrier gave its own code";

fn refused(code: Option<&str>, why: &'static str) -> CarrierError {
    CarrierError::Refused(code.and_then(|code| Said::new(code, why)))
}

/// What an answer comes to.
pub(super) fn judge(answer: &Answer, kind: Kind) -> Verdict<Accepted> {
    let verdict = first_look(answer, kind);
    match (answer.should_retry, &verdict.outcome) {
        (Some(false), Err(CarrierError::Passing { .. })) => {
            Verdict { outcome: Err(CarrierError::REFUSED), blame: verdict.blame }
        }
        (Some(true), Err(CarrierError::Refused(None)))
            if kind == Kind::Harmless && verdict.blame == Blame::Nobody =>
        {
            Verdict::of(Err(passing(answer)))
        }
        _ => verdict,
    }
}

fn first_look(answer: &Answer, kind: Kind) -> Verdict<Accepted> {
    let unless_harmless = |failure| if kind == Kind::Harmless { passing(answer) } else { failure };
    let record = answer.body.as_deref().and_then(|body| serde_json::from_slice::<Record>(body).ok());
    let is_success = (200..300).contains(&answer.status);
    match answer.status {
        401 => return Verdict::set_up(CREDENTIALS),
        300..=399 => return Verdict::set_up(ADDRESS),
        _ => {}
    }
    if let Some(record) = &record
        && (!is_success || record.is_failure())
        && let Some(code) = record.code()
    {
        match meaning(&code) {
            Some(Meaning::ForGood(why)) => return Verdict::of(Err(refused(Some(&code), why))),
            Some(Meaning::Passing) => return Verdict::of(Err(passing(answer))),
            Some(Meaning::Ambiguous) => return Verdict::of(Err(unless_harmless(CarrierError::Unknown))),
            Some(Meaning::Broken) => return Verdict::fault(unless_harmless(CarrierError::Unknown)),
            None if answer.status < 500 && !matches!(answer.status, 403 | 408 | 409 | 429) => {
                return Verdict::of(Err(refused(Some(&code), OTHER)));
            }
            None => {}
        }
    }
    match (answer.status, record) {
        (200..300, Some(record)) if record.is_failure() => Verdict::of(Err(CarrierError::REFUSED)),
        (200..300, Some(record)) => {
            let provider_message_id = record.message_handle.filter(|_| kind == Kind::Message);
            Verdict::of(Ok(Accepted { provider_message_id: provider_message_id.filter(|id| !id.is_empty()) }))
        }
        (403, _) => Verdict::set_up(CREDENTIALS),
        (429, _) => Verdict::of(Err(passing(answer))),
        (408 | 409, _) => Verdict::of(Err(unless_harmless(CarrierError::Unknown))),
        (400..500, _) => Verdict::of(Err(CarrierError::REFUSED)),
        // A success without a record, too: another program than Sendblue's API may have answered.
        _ => Verdict::fault(unless_harmless(CarrierError::Unknown)),
    }
}

fn passing(answer: &Answer) -> CarrierError {
    CarrierError::Passing {
        retry_after: answer.retry_after.unwrap_or(CarrierError::RETRY_AFTER).max(Duration::from_millis(1)),
    }
}

#[cfg(test)]
#[path = "responses_tests.rs"]
mod table;
