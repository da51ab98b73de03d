//! The outcome of each response in the source code of the BlueBubbles server, byte for byte.

use std::time::Duration;

use super::{RequestKind, assess};
use crate::carriers::carrier::Accepted;
use crate::carriers::client::assessment::{Assessment, Fault};
use crate::carriers::client::http::HttpResponse;
use crate::carriers::error::CarrierError;

const SENT: &str = r#"{"status":200,"message":"Message sent!","data":{"originalROWID":7,"guid":"6E1B0DAD-1F1B-4B1C-9F2B-0C6A7F9E3A10","text":"hi","handle":{"address":"+15551230001"},"isFromMe":true,"error":0,"dateCreated":1771280330123,"tempGuid":"0197"}}"#;
const SENT_WITH_ERROR: &str = r#"{"status":500,"message":"Message Send Error","error":{"type":"iMessage Error","message":"Failed to send message! See attached message error code."},"data":{"guid":"6E1B0DAD","text":"hi","error":22,"isFromMe":true}}"#;
const READ: &str = r#"{"status":200,"message":"Successfully marked chat as read!"}"#;
const UNAUTHORIZED: &str = r#"{"status":401,"message":"You are not authorized to access this resource","error":{"type":"Authentication Error","message":"Unauthorized"}}"#;
const NOT_ENABLED: &str = r#"{"status":500,"message":"Please make sure you have completed the setup for the Private API, and your helper is connected!","error":{"type":"iMessage Error","message":"iMessage Private API is not enabled!"}}"#;
const NO_HELPER: &str = r#"{"status":500,"message":"Please make sure you have completed the setup for the Private API, and your helper is connected!","error":{"type":"iMessage Error","message":"iMessage Private API Helper is not connected!"}}"#;
const LOST: &str = r#"{"status":500,"message":"Message Send Error","error":{"type":"iMessage Error","message":"Transaction timeout"}}"#;
const SERVER_ERROR: &str = r#"{"status":500,"message":"The server has encountered an error","error":{"type":"Server Error","message":"database is locked"}}"#;
const GATEWAY: &str = r#"{"status":504,"message":"Gateway Timeout","error":{"type":"Gateway Timeout","message":"The server took too long"}}"#;
const NOT_VALID: &str = r#"{"status":400,"message":"You've made a bad request! Please check your request params & body","error":{"type":"Validation Error","message":"Selected message does not exist!"}}"#;
const QUEUED: &str = r#"{"status":400,"message":"You've made a bad request! Please check your request params & body","error":{"type":"Validation Error","message":"Message is already queued to be sent! (Temp GUID: 0197)"}}"#;
const NO_CHAT: &str = r#"{"status":404,"message":"The requested resource was not found","error":{"type":"Database Error","message":"Chat does not exist!"}}"#;

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
    let guid = "accepted 6E1B0DAD-1F1B-4B1C-9F2B-0C6A7F9E3A10";
    let unknown = "outcome unknown";
    let lost = "outcome unknown fault";
    #[rustfmt::skip]
    let table: &[(u16, &str, [&str; 3])] = &[
        // status, body, [message, tapback, receipt or typing]
        (200, SENT, [guid, "accepted -", "accepted -"]),
        (201, SENT, [guid, "accepted -", "accepted -"]),
        (200, READ, [lost, "accepted -", "accepted -"]),
        (200, "<html>tunnel</html>", [lost, lost, "transient 1 fault"]),
        (200, r#"{"data":{"guid":"6E1B0DAD","error":22}}"#, ["rejected 22"; 3]),
        (301, "", ["rejected setup"; 3]),
        (400, NOT_VALID, ["rejected"; 3]),
        (400, QUEUED, [unknown, unknown, "transient 1"]),
        (401, UNAUTHORIZED, ["rejected setup"; 3]),
        (403, "", ["rejected setup"; 3]),
        (404, NO_CHAT, ["rejected"; 3]),
        (404, "Not Found", ["rejected"; 3]),
        (408, "", [unknown, unknown, "transient 1"]),
        (429, "", ["transient 1"; 3]),
        (500, NOT_ENABLED, ["rejected setup"; 3]),
        (500, NO_HELPER, ["rejected setup"; 3]),
        (500, SENT_WITH_ERROR, ["rejected 22"; 3]),
        (500, LOST, [unknown, unknown, "transient 1"]),
        (500, SERVER_ERROR, [lost, lost, "transient 1 fault"]),
        (500, "", [lost, lost, "transient 1 fault"]),
        (502, "<html>Bad gateway</html>", [lost, lost, "transient 1 fault"]),
        (504, GATEWAY, [lost, lost, "transient 1 fault"]),
        (530, "", [lost, lost, "transient 1 fault"]),
    ];
    for (status, body, expected) in table {
        let response =
            HttpResponse { status: *status, body: Some(body.as_bytes().to_vec()), ..HttpResponse::default() };
        let kinds = [RequestKind::Message, RequestKind::Reaction, RequestKind::Idempotent];
        let outcomes = kinds.map(|kind| summary(&assess(&response, kind)));
        assert_eq!(outcomes, *expected, "HTTP {status} {body}");
    }
}

#[test]
fn retry_after_of_a_proxy_before_the_mac_is_kept() {
    let response =
        HttpResponse { status: 429, retry_after: Some(Duration::from_secs(7)), ..HttpResponse::default() };
    assert_eq!(summary(&assess(&response, RequestKind::Message)), "transient 7");
}
