//! Assertions on errors: code, reason, HTTP status and details together, as `errors.proto` promises them.

use inkbox_imessage::grpc::wire::status::ERROR_DOMAIN;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::app::{POOL_LINES, ROUTER_LINE};

/// Code and HTTP status of each reason: the table in `errors.proto`.
const REASONS: [(&str, Code, &str); 21] = [
    ("INVALID_ARGUMENT", Code::InvalidArgument, "422"),
    ("API_KEY_INVALID", Code::Unauthenticated, "401"),
    ("IDENTITY_MISMATCH", Code::PermissionDenied, "403"),
    ("SCOPE_INSUFFICIENT", Code::PermissionDenied, "403"),
    ("RECIPIENT_BLOCKED", Code::PermissionDenied, "403"),
    ("NOT_FOUND", Code::NotFound, "404"),
    ("RECIPIENT_NOT_CONNECTED", Code::NotFound, "404"),
    ("IDENTITY_NOT_ENABLED", Code::FailedPrecondition, "400"),
    ("CONNECTION_RELEASED", Code::FailedPrecondition, "409"),
    ("RECIPIENT_HAS_NOT_MESSAGED", Code::FailedPrecondition, "409"),
    ("ALREADY_EXISTS", Code::AlreadyExists, "409"),
    ("IDEMPOTENCY_KEY_REUSED", Code::FailedPrecondition, "409"),
    ("IDEMPOTENCY_IN_PROGRESS", Code::Aborted, "409"),
    ("RATE_LIMITED", Code::ResourceExhausted, "429"),
    ("UPSTREAM_FAILED", Code::Unavailable, "502"),
    ("STORAGE_UNAVAILABLE", Code::Unavailable, "503"),
    ("DEADLINE_EXCEEDED", Code::DeadlineExceeded, "504"),
    ("OVERLOADED", Code::ResourceExhausted, "503"),
    ("INTERNAL", Code::Internal, "500"),
    ("TOO_LARGE", Code::ResourceExhausted, "413"),
    ("NOT_SUPPORTED_BY_CARRIER", Code::FailedPrecondition, "409"),
];

/// Asserts that a call failed for this reason, with the code, domain and HTTP status that belong to it and the kinds of
/// detail that it promises; gives the details.
#[track_caller]
pub fn assert_reason<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str) -> ErrorDetails {
    let status = answer.expect_err(reason);
    let (_, code, http_status) =
        REASONS.iter().find(|(name, ..)| *name == reason).expect("a reason of errors.proto");
    let details = status.check_error_details().expect("details that decode");
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.reason, reason, "{status:?}");
    assert_eq!(status.code(), *code, "{status:?}");
    assert_eq!(info.domain, ERROR_DOMAIN);
    assert_eq!(info.metadata.get("http_status").map(String::as_str), Some(*http_status));
    match reason {
        "INVALID_ARGUMENT" => assert!(details.bad_request().is_some(), "{status:?}"),
        "NOT_FOUND" => assert!(details.resource_info().is_some(), "{status:?}"),
        "IDENTITY_NOT_ENABLED" | "CONNECTION_RELEASED" | "NOT_SUPPORTED_BY_CARRIER" => {
            assert!(details.precondition_failure().is_some(), "{status:?}");
        }
        "STORAGE_UNAVAILABLE" | "RATE_LIMITED" | "OVERLOADED" | "IDEMPOTENCY_IN_PROGRESS" => {
            assert!(details.retry_info().is_some(), "{status:?}");
        }
        "INTERNAL" => assert!(details.request_info().is_some(), "{status:?}"),
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

/// Asserts that two failures cannot be told apart: code, text and details are the same, byte for byte.
#[track_caller]
pub fn assert_alike<A: std::fmt::Debug, B: std::fmt::Debug>(a: Result<A, Status>, b: Result<B, Status>) {
    let (a, b) = (a.expect_err("a failure"), b.expect_err("a failure"));
    assert_eq!((a.code(), a.message(), a.details()), (b.code(), b.message(), b.details()));
}

/// Asserts that an answer shows no line's number anywhere.
#[track_caller]
pub fn assert_names_no_line(answer: &impl std::fmt::Debug) {
    let text = format!("{answer:?}");
    for line in POOL_LINES.into_iter().chain([ROUTER_LINE]) {
        assert!(!text.contains(line.trim_start_matches('+')), "{line} in {text}");
    }
}
