//! The outcome of each response that Sendblue documents or that was observed, byte for byte.

use std::time::Duration;

use super::{CREDENTIALS, RequestKind, assess};
use crate::carriers::carrier::Accepted;
use crate::carriers::client::assessment::{Assessment, Fault};
use crate::carriers::client::http::HttpResponse;
use crate::carriers::error::CarrierError;

const QUEUED: &str = r#"{"accountEmail":"ops@example.com","content":"hi","is_outbound":true,"status":"QUEUED","error_code":null,"error_message":null,"message_handle":"dfd747bc-5600-4a8a-804a-6e614eac3a8e","date_sent":"2026-02-16T22:18:50.123Z","date_updated":"2026-02-16T22:18:50.123Z","from_number":"+12025550101","number":"+15551230001","to_number":"+15551230001","was_downgraded":null,"plan":"blue","media_url":"","message_type":"message","group_id":"","participants":["+15551230001","+12025550101"],"send_style":"","opted_out":false,"error_detail":null,"sendblue_number":"+12025550101"}"#;
const NO_ROUTE: &str = r#"{"status":"ERROR","message":"no route mapping for +12025550101"}"#;
const TYPING_ERROR: &str =
    r#"{"number":"+15551230001","status":"ERROR","error_message":"Failed to send to +15551230001"}"#;

fn coded(code: &str) -> String {
    format!(r#"{{"status":"ERROR","error_code":{code},"error_message":"from +12025550101: no"}}"#)
}

/// A short form of an assessment, with the carrier's code if it is kept.
fn summary(assessment: &Assessment<Accepted>) -> String {
    let fault = match assessment.fault {
        Fault::None => "",
        Fault::Carrier => " fault",
        Fault::Configuration(_) => " setup",
    };
    let outcome = match &assessment.outcome {
        Ok(accepted) => format!("accepted {}", accepted.provider_message_id.as_deref().unwrap_or("-")),
        Err(CarrierError::Rejected(Some(reason))) => format!("rejected {}", reason.code()),
        Err(CarrierError::Rejected(None)) => "rejected".to_owned(),
        Err(CarrierError::Transient { retry_after }) => format!("transient {}", retry_after.as_secs()),
        Err(other) => other.to_string(),
    };
    outcome + fault
}

#[test]
fn each_response_has_one_outcome_for_messages_tapbacks_and_idempotent_requests() {
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
        (200, TYPING_ERROR.into(), ["rejected"; 3]),
        (200, r#"{"status":"DECLINED","error_code":null}"#.into(), ["rejected"; 3]),
        (200, coded("4002"), ["rejected 4002"; 3]),
        (200, coded("\"4002\""), ["rejected 4002"; 3]),
        (200, coded("5509"), ["transient 1"; 3]),
        (200, coded("10002"), [unknown, unknown, "transient 1"]),
        (200, coded("5000"), [lost, lost, "transient 1 fault"]),
        (200, coded("77777"), ["rejected 77777"; 3]),
        (200, coded("0"), ["rejected"; 3]),
        (200, "<html>captive portal</html>".into(), [lost, lost, "transient 1 fault"]),
        (200, String::new(), [lost, lost, "transient 1 fault"]),
        (302, String::new(), ["rejected setup"; 3]),
        (400, NO_ROUTE.into(), ["rejected"; 3]),
        (400, coded("4000"), ["rejected 4000"; 3]),
        (400, coded("10001"), ["rejected 10001"; 3]),
        (400, coded("22"), ["rejected 22"; 3]),
        (400, coded("\"SMS_LIMIT_REACHED\""), ["rejected SMS_LIMIT_REACHED"; 3]),
        (400, coded("\"+12025550101\""), ["rejected"; 3]),
        (401, r#"{"message":"Unauthorized"}"#.into(), ["rejected setup"; 3]),
        (401, coded("4001"), ["rejected setup"; 3]),
        (403, r#"{"message":"Forbidden"}"#.into(), ["rejected setup"; 3]),
        (403, coded("4002"), ["rejected 4002"; 3]),
        (404, "Not Found".into(), ["rejected"; 3]),
        (408, String::new(), [unknown, unknown, "transient 1"]),
        (409, String::new(), [unknown, unknown, "transient 1"]),
        (429, coded("4001"), ["transient 1"; 3]),
        (429, "Too Many Requests".into(), ["transient 1"; 3]),
        (500, coded("5000"), [lost, lost, "transient 1 fault"]),
        (500, coded("10001"), ["rejected 10001"; 3]),
        (500, coded("10002"), [unknown, unknown, "transient 1"]),
        (503, coded("5003"), ["transient 1"; 3]),
        (500, "<html>oops</html>".into(), [lost, lost, "transient 1 fault"]),
        (502, String::new(), [lost, lost, "transient 1 fault"]),
        (503, String::new(), [lost, lost, "transient 1 fault"]),
        (504, String::new(), [lost, lost, "transient 1 fault"]),
    ];
    for (status, body, expected) in table {
        let response = HttpResponse {
            status: *status,
            body: Some(body.clone().into_bytes()),
            ..HttpResponse::default()
        };
        let kinds = [RequestKind::Message, RequestKind::Reaction, RequestKind::Idempotent];
        let outcomes = kinds.map(|kind| summary(&assess(&response, kind)));
        assert_eq!(outcomes, *expected, "HTTP {status} {body}");
    }
}

#[test]
fn the_outcome_of_a_send_is_unknown_if_the_body_cannot_be_read() {
    let response = HttpResponse { status: 200, ..HttpResponse::default() };
    assert_eq!(summary(&assess(&response, RequestKind::Message)), "outcome unknown fault");
}

#[test]
fn retry_hints_of_the_carrier_are_applied() {
    let response =
        HttpResponse { status: 429, retry_after: Some(Duration::from_secs(7)), ..HttpResponse::default() };
    assert_eq!(summary(&assess(&response, RequestKind::Message)), "transient 7");
    let never = HttpResponse { should_retry: Some(false), ..response };
    assert_eq!(summary(&assess(&never, RequestKind::Message)), "rejected", "x-should-retry: false");
    let again = HttpResponse { status: 404, should_retry: Some(true), ..HttpResponse::default() };
    assert_eq!(summary(&assess(&again, RequestKind::Idempotent)), "transient 1", "x-should-retry: true");
    assert_eq!(
        summary(&assess(&again, RequestKind::Message)),
        "rejected",
        "a message is not sent twice on a hint"
    );
}

#[test]
fn a_misconfiguration_names_the_settings_to_correct() {
    let response = HttpResponse { status: 401, ..HttpResponse::default() };
    assert_eq!(assess(&response, RequestKind::Message).fault, Fault::Configuration(CREDENTIALS));
}
