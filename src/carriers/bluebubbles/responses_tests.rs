//! Each answer that a BlueBubbles server gives by its source, byte for byte, and what it comes to.

use std::time::Duration;

use super::{Kind, judge};
use crate::carriers::client::api_client::{Blame, Verdict};
use crate::carriers::client::http::Answer;
use crate::carriers::{Accepted, CarrierError};

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
    let guid = "accepted 6E1B0DAD-1F1B-4B1C-9F2B-0C6A7F9E3A10";
    let unknown = "outcome unknown";
    let lost = "outcome unknown fault";
    #[rustfmt::skip]
    let table: &[(u16, &str, [&str; 3])] = &[
        // status, body, [message, tapback, receipt or typing]
        (200, SENT, [guid, "accepted -", "accepted -"]),
        (201, SENT, [guid, "accepted -", "accepted -"]),
        (200, READ, [lost, "accepted -", "accepted -"]),
        (200, "<html>tunnel</html>", [lost, lost, "passing 1 fault"]),
        (200, r#"{"data":{"guid":"6E1B0DAD","error":22}}"#, ["refused 22"; 3]),
        (301, "", ["refused setup"; 3]),
        (400, NOT_VALID, ["refused"; 3]),
        (400, QUEUED, [unknown, unknown, "passing 1"]),
        (401, UNAUTHORIZED, ["refused setup"; 3]),
        (403, "", ["refused setup"; 3]),
        (404, NO_CHAT, ["refused"; 3]),
        (404, "Not Found", ["refused"; 3]),
        (408, "", [unknown, unknown, "passing 1"]),
        (429, "", ["passing 1"; 3]),
        (500, NOT_ENABLED, ["refused setup"; 3]),
        (500, NO_HELPER, ["refused setup"; 3]),
        (500, SENT_WITH_ERROR, ["refused 22"; 3]),
        (500, LOST, [unknown, unknown, "passing 1"]),
        (500, SERVER_ERROR, [lost, lost, "passing 1 fault"]),
        (500, "", [lost, lost, "passing 1 fault"]),
        (502, "<html>Bad gateway</html>", [lost, lost, "passing 1 fault"]),
        (504, GATEWAY, [lost, lost, "passing 1 fault"]),
        (530, "", [lost, lost, "passing 1 fault"]),
    ];
    for (status, body, expected) in table {
        let answer = Answer { status: *status, body: Some(body.as_bytes().to_vec()), ..Answer::default() };
        let kinds = [Kind::Message, Kind::Reaction, Kind::Harmless];
        let came = kinds.map(|kind| word(&judge(&answer, kind)));
        assert_eq!(came, *expected, "HTTP {status} {body}");
    }
}

#[test]
fn advice_of_a_server_before_the_mac_is_kept() {
    let answer = Answer { status: 429, retry_after: Some(Duration::from_secs(7)), ..Answer::default() };
    assert_eq!(word(&judge(&answer, Kind::Message)), "passing 7");
}
