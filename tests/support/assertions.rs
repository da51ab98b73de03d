//! Assertions on errors: code, reason, HTTP status and details together. The codes of each reason come from
//! `grpc::status`; tests/api/freeze/errors.rs compares them with docs/errors.md.

use inkbox_imessage::grpc::wire::status::{self, ERROR_DOMAIN};
use inkbox_imessage::proto::ErrorReason;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt as _};

use super::app::{POOL_LINES, ROUTER_LINE};

/// Asserts that a call failed with this reason, and with the code, domain, HTTP status and kinds of details that belong to
/// it. Returns the details.
#[track_caller]
pub fn assert_reason<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str) -> ErrorDetails {
    let failure = answer.expect_err(reason);
    let known = ErrorReason::all().find(|known| known.name() == reason).expect("a reason of errors.proto");
    let (code, http_status) = status::codes(known);
    let details = failure.check_error_details().expect("details that decode");
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {failure:?}"));
    assert_eq!(info.reason, reason, "{failure:?}");
    assert_eq!(failure.code(), code, "{failure:?}");
    assert_eq!(info.domain, ERROR_DOMAIN);
    assert_eq!(info.metadata.get("http_status").map(String::as_str), Some(&*http_status.to_string()));
    match reason {
        "INVALID_ARGUMENT" => assert!(details.bad_request().is_some(), "{failure:?}"),
        "NOT_FOUND" => assert!(details.resource_info().is_some(), "{failure:?}"),
        "IDENTITY_NOT_ENABLED" | "CONNECTION_RELEASED" | "NOT_SUPPORTED_BY_CARRIER" => {
            assert!(details.precondition_failure().is_some(), "{failure:?}");
        }
        "STORAGE_UNAVAILABLE" | "RATE_LIMITED" | "OVERLOADED" | "IDEMPOTENCY_IN_PROGRESS" => {
            assert!(details.retry_info().is_some(), "{failure:?}");
        }
        "INTERNAL" => assert!(details.request_info().is_some(), "{failure:?}"),
        _ => {}
    }
    details
}

/// Asserts that a call was refused for exactly these fields, in any order.
#[track_caller]
pub fn assert_fields<T: std::fmt::Debug>(answer: Result<T, Status>, fields: &[&str]) {
    let details = assert_reason(answer, "INVALID_ARGUMENT");
    let violations = &details.bad_request().expect("a BadRequest").field_violations;
    let mut named: Vec<_> = violations.iter().map(|violation| violation.field.as_str()).collect();
    named.sort_unstable();
    let mut expected = fields.to_vec();
    expected.sort_unstable();
    assert_eq!(named, expected, "{violations:?}");
    assert!(violations.iter().all(|violation| !violation.description.is_empty()), "{violations:?}");
}

/// Asserts that two failures are indistinguishable: the same code, text and details, byte for byte.
#[track_caller]
pub fn assert_alike<A: std::fmt::Debug, B: std::fmt::Debug>(a: Result<A, Status>, b: Result<B, Status>) {
    let (a, b) = (a.expect_err("a failure"), b.expect_err("a failure"));
    assert_eq!((a.code(), a.message(), a.details()), (b.code(), b.message(), b.details()));
}

/// Asserts that a response does not contain the number of any line.
#[track_caller]
pub fn assert_names_no_line(answer: &impl std::fmt::Debug) {
    let text = format!("{answer:?}");
    for line in POOL_LINES.into_iter().chain([ROUTER_LINE]) {
        assert!(!text.contains(line.trim_start_matches('+')), "{line} in {text}");
    }
}
