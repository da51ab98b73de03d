//! Each answer that Sendblue documents or was seen to give, byte for byte, and what it comes to.

use std::time::Duration;

use super::{CREDENTIALS, Kind, judge};
use crate::carriers::client::api_client::{Blame, Verdict};
use crate::carriers::client::http::Answer;
use crate::carriers::{Accepted, CarrierError};

const QUEUED: &str = r#"{"accountEmail":"ops@example.com","content":"hi","is_outbound":true,"status":"QUEUED","error_code":null,"error_message":null,"message_handle":"dfd747bc-5600-4a8a-804a-6e614eac3a8e","date_sent":"2026-02-16T22:18:50.123Z","date_updated":"2026-02-16T22:18:50.123Z","from_number":"+12025550101","number":"+15551230001","to_number":"+15551230001","was_downgraded":null,"plan":"blue","media_url":"","message_type":"message","group_id":"","participants":["+15551230001","+12025550101"],"send_style":"","opted_out":false,"error_detail":null,"sendblue_number":"+12025550101"}"#;
const NO_ROUTE: &str = r#"{"status":"ERROR","message":"no route mapping for +12025550101"}"#;
const TYPING_ERROR: &str =
    r#"{"number":"+15551230001","status":"ERROR","error_message":"Failed to send to +15551230001"}"#;

fn coded(code: &str) -> String {
    format!(r#"{{"status":"ERROR","error_code":{code},"error_message":"from +12025550101: no"}}"#)
}

/// An outcome in a word, with the carrier's code where it is kept.
fn word(verdict: &Verdict<Accepted>) -> String {
    let blame = match verdict.blame {
        Blame::Nobody => "",
        Blame::CarrierKind => " fault",
        Blame::SetUp(_) => " setup",
    };
    let outcome = match &verdict.outcome {
        Ok(accepted) => format!("accepted {}", accepted.provider_message_id.as_deref().unwrap_or("-")),
        Err(CarrierError::Refused(Some(said))) => format!("refused {}", said.code()),
        Err(CarrierError::Refused(None)) => "refused".to_owned(),
        Err(CarrierError::Passing { retry_after }) => format!("passing {}", retry_after.as_secs()),
        Err(other) => other.to_string(),
    };
    outcome + blame
}

#[test]
fn each_answer_has_one_outcome_for_messages_tapbacks_and_harmless_calls() {
    let handle = "accepted dfd747bc-5600-4a8a-804a-6e614eac3a8e";
    let unknown = "outcome unknown";
    let lost = "outcome unknown fault";
    #[rustfmt::skip]
    let table: &[(u16, String, [&str; 3])] = &[
        // status, body, [message, tapback, receipt or typing]
        (200, QUEUED.into(), [handle, "accepted -", "accepted -"]),
        (202, QUEUED.into(), [handle, "accepted -", "accepted -"]),
        (200, r#"{"status":"OK","message":"Read receipt sent","number":"+15551230001"}"#.into(), ["accepted -"; 3]),
        (200, r#"{"number":"+15551230001","status":"SENT","error_message":null}"#.into(), ["accepted -"; 3]),
        (200, TYPING_ERROR.into(), ["refused"; 3]),
        (200, r#"{"status":"DECLINED","error_code":null}"#.into(), ["refused"; 3]),
        (200, coded("4002"), ["refused 4002"; 3]),
        (200, coded("\"4002\""), ["refused 4002"; 3]),
        (200, coded("5509"), ["passing 1"; 3]),
        (200, coded("10002"), [unknown, unknown, "passing 1"]),
        (200, coded("5000"), [lost, lost, "passing 1 fault"]),
        (200, coded("77777"), ["refused 77777"; 3]),
        (200, coded("0"), ["refused"; 3]),
        (200, "<html>captive portal</html>".into(), [lost, lost, "passing 1 fault"]),
        (200, String::new(), [lost, lost, "passing 1 fault"]),
        (302, String::new(), ["refused setup"; 3]),
        (400, NO_ROUTE.into(), ["refused"; 3]),
        (400, coded("4000"), ["refused 4000"; 3]),
        (400, coded("10001"), ["refused 10001"; 3]),
        (400, coded("22"), ["refused 22"; 3]),
        (400, coded("\"SMS_LIMIT_REACHED\""), ["refused SMS_LIMIT_REACHED"; 3]),
        (400, coded("\"+12025550101\""), ["refused"; 3]),
        (401, r#"{"message":"Unauthorized"}"#.into(), ["refused setup"; 3]),
        (401, coded("4001"), ["refused setup"; 3]),
        (403, r#"{"message":"Forbidden"}"#.into(), ["refused setup"; 3]),
        (403, coded("4002"), ["refused 4002"; 3]),
        (404, "Not Found".into(), ["refused"; 3]),
        (408, String::new(), [unknown, unknown, "passing 1"]),
        (409, String::new(), [unknown, unknown, "passing 1"]),
        (429, coded("4001"), ["passing 1"; 3]),
        (429, "Too Many Requests".into(), ["passing 1"; 3]),
        (500, coded("5000"), [lost, lost, "passing 1 fault"]),
        (500, coded("10001"), ["refused 10001"; 3]),
        (500, coded("10002"), [unknown, unknown, "passing 1"]),
        (503, coded("5003"), ["passing 1"; 3]),
        (500, "<html>oops</html>".into(), [lost, lost, "passing 1 fault"]),
        (502, String::new(), [lost, lost, "passing 1 fault"]),
        (503, String::new(), [lost, lost, "passing 1 fault"]),
        (504, String::new(), [lost, lost, "passing 1 fault"]),
    ];
    for (status, body, expected) in table {
        let answer = Answer { status: *status, body: Some(body.clone().into_bytes()), ..Answer::default() };
        let kinds = [Kind::Message, Kind::Reaction, Kind::Harmless];
        let came = kinds.map(|kind| word(&judge(&answer, kind)));
        assert_eq!(came, *expected, "HTTP {status} {body}");
    }
}

#[test]
fn a_body_that_cannot_be_read_leaves_a_send_open() {
    let answer = Answer { status: 200, ..Answer::default() };
    assert_eq!(word(&judge(&answer, Kind::Message)), "outcome unknown fault");
}

#[test]
fn advice_of_the_carrier_is_kept() {
    let answer = Answer { status: 429, retry_after: Some(Duration::from_secs(7)), ..Answer::default() };
    assert_eq!(word(&judge(&answer, Kind::Message)), "passing 7");
    let never = Answer { should_retry: Some(false), ..answer };
    assert_eq!(word(&judge(&never, Kind::Message)), "refused", "x-should-retry: false");
    let again = Answer { status: 404, should_retry: Some(true), ..Answer::default() };
    assert_eq!(word(&judge(&again, Kind::Harmless)), "passing 1", "x-should-retry: true");
    assert_eq!(word(&judge(&again, Kind::Message)), "refused", "a message is not sent twice on a hint");
}

#[test]
fn what_the_operator_has_to_mend_is_named() {
    let answer = Answer { status: 401, ..Answer::default() };
    assert_eq!(judge(&answer, Kind::Message).blame, Blame::SetUp(CREDENTIALS));
}
