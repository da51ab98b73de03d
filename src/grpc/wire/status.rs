//! The only place that builds a `tonic::Status`. Every status carries `ErrorInfo` with a reason of
//! `proto/inkbox/imessage/v1/errors.proto`, and the further details that its reason promises.
#![allow(clippy::disallowed_methods, reason = "this is where statuses are built")]

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message;
use prost_types::Any;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::pb;

use crate::error::Error;
use crate::proto::ErrorReason;

/// `ErrorInfo.domain` of every error.
pub const ERROR_DOMAIN: &str = "imessage.inkbox";
/// Retry delay when the database does not answer. Its health is polled twice a second.
const STORAGE_RETRY: Duration = Duration::from_secs(1);
/// Retry delay when this replica shuts down: time to find another one.
const SHUTDOWN_RETRY: Duration = Duration::from_millis(500);
/// The trailer that the retries of gRPC libraries follow (gRFC A6, "Pushback"): a delay in milliseconds. With a negative
/// number they do not retry.
const RETRY_PUSHBACK: &str = "grpc-retry-pushback-ms";
/// Maximum number of fields named in one status: details travel as a header, and clients cap their headers at 8 KiB.
const MAX_VIOLATIONS: usize = 20;

/// The reason of an error.
#[must_use]
pub const fn reason(error: &Error) -> ErrorReason {
    match error {
        Error::InvalidArgument(_) => ErrorReason::InvalidArgument,
        Error::ApiKeyInvalid => ErrorReason::ApiKeyInvalid,
        Error::IdentityMismatch => ErrorReason::IdentityMismatch,
        Error::ScopeInsufficient(_) => ErrorReason::ScopeInsufficient,
        Error::RecipientBlocked { .. } => ErrorReason::RecipientBlocked,
        Error::NotFound(_) => ErrorReason::NotFound,
        Error::RecipientNotConnected { .. } => ErrorReason::RecipientNotConnected,
        Error::IdentityNotEnabled => ErrorReason::IdentityNotEnabled,
        Error::ConnectionReleased => ErrorReason::ConnectionReleased,
        Error::RecipientHasNotMessaged => ErrorReason::RecipientHasNotMessaged,
        Error::RecipientOptedOut => ErrorReason::RecipientOptedOut,
        Error::NotSupportedByCarrier => ErrorReason::NotSupportedByCarrier,
        Error::IdempotencyKeyReused => ErrorReason::IdempotencyKeyReused,
        Error::IdempotencyInProgress { .. } => ErrorReason::IdempotencyInProgress,
        Error::RateLimited { .. } => ErrorReason::RateLimited,
        Error::AlreadyExists { .. } => ErrorReason::AlreadyExists,
        Error::UpstreamFailed { .. } => ErrorReason::UpstreamFailed,
        Error::StorageUnavailable => ErrorReason::StorageUnavailable,
        Error::Overloaded { .. } => ErrorReason::Overloaded,
        Error::TooLarge { .. } => ErrorReason::TooLarge,
        Error::DeadlineExceeded => ErrorReason::DeadlineExceeded,
        Error::Unimplemented(_) => ErrorReason::Unimplemented,
        Error::UnsupportedMediaType => ErrorReason::UnsupportedMediaType,
        Error::CursorExpired => ErrorReason::CursorExpired,
        Error::StreamEnded => ErrorReason::StreamEnded,
        Error::Internal => ErrorReason::Internal,
    }
}

/// The gRPC code of a reason, and the HTTP status that the REST API documents for it.
#[must_use]
pub const fn codes(reason: ErrorReason) -> (Code, u16) {
    match reason {
        ErrorReason::InvalidArgument => (Code::InvalidArgument, 422),
        ErrorReason::UnsupportedMediaType => (Code::InvalidArgument, 415),
        ErrorReason::Unimplemented => (Code::Unimplemented, 501),
        ErrorReason::ApiKeyInvalid => (Code::Unauthenticated, 401),
        ErrorReason::IdentityMismatch | ErrorReason::ScopeInsufficient | ErrorReason::RecipientBlocked => {
            (Code::PermissionDenied, 403)
        }
        ErrorReason::NotFound | ErrorReason::RecipientNotConnected => (Code::NotFound, 404),
        ErrorReason::IdentityNotEnabled => (Code::FailedPrecondition, 400),
        ErrorReason::ConnectionReleased
        | ErrorReason::RecipientHasNotMessaged
        | ErrorReason::RecipientOptedOut
        | ErrorReason::NotSupportedByCarrier
        | ErrorReason::IdempotencyKeyReused => (Code::FailedPrecondition, 409),
        ErrorReason::IdempotencyInProgress => (Code::Aborted, 409),
        ErrorReason::AlreadyExists => (Code::AlreadyExists, 409),
        ErrorReason::RateLimited => (Code::ResourceExhausted, 429),
        ErrorReason::Overloaded => (Code::ResourceExhausted, 503),
        ErrorReason::TooLarge => (Code::ResourceExhausted, 413),
        ErrorReason::UpstreamFailed => (Code::Unavailable, 502),
        ErrorReason::StorageUnavailable | ErrorReason::StreamEnded => (Code::Unavailable, 503),
        ErrorReason::DeadlineExceeded => (Code::DeadlineExceeded, 504),
        ErrorReason::CursorExpired => (Code::OutOfRange, 410),
        // No error has the reason UNSPECIFIED.
        ErrorReason::Internal | ErrorReason::Unspecified => (Code::Internal, 500),
    }
}

fn message(error: &Error) -> String {
    let text = match error {
        Error::InvalidArgument(violations) => {
            let fields: Vec<_> = violations
                .iter()
                .take(MAX_VIOLATIONS)
                .map(|violation| format!("{}: {}", violation.field, violation.description))
                .collect();
            return format!("invalid argument: {}", fields.join("; "));
        }
        Error::ScopeInsufficient(required) => return format!("this call requires {required}"),
        Error::NotFound(resource) => return format!("{resource} not found, or not visible to this key"),
        Error::AlreadyExists { resource, .. } => return format!("{resource} already exists"),
        Error::TooLarge { what, limit } => return format!("{what} is larger than {limit} bytes"),
        Error::Unimplemented(what) => what,
        Error::UnsupportedMediaType => "the content type must be application/grpc",
        Error::CursorExpired => {
            "events after this cursor are no longer kept; read the lists again, then watch from now on"
        }
        Error::StreamEnded => "the server ends the stream; call again with the last cursor",
        Error::ApiKeyInvalid => "the API key is missing or not valid",
        Error::IdentityMismatch => "the key belongs to a different identity",
        Error::RecipientBlocked { .. } => "the identity's contact rules block this number",
        Error::RecipientNotConnected { .. } => {
            "the recipient is not connected to the identity; the recipient must text the connect command to the \
             router number"
        }
        Error::RecipientHasNotMessaged => "the recipient has not sent a message on the active connection yet",
        Error::RecipientOptedOut => "the recipient has opted out of messages in this conversation",
        Error::IdempotencyKeyReused => "the idempotency key was already used with a different request",
        Error::IdempotencyInProgress { .. } => {
            "a request with this idempotency key is still in progress; retry with back-off"
        }
        Error::RateLimited { .. } => {
            "the identity has reached its limit of actions per minute, or of messages in 24 hours"
        }
        Error::IdentityNotEnabled => "iMessage is not enabled for this identity",
        Error::ConnectionReleased => "the connection was released; the recipient must connect again",
        Error::UpstreamFailed { retry_after: Some(_) } => "the carrier failed; retry with back-off",
        Error::UpstreamFailed { retry_after: None } => "the carrier rejected the request; do not retry",
        Error::NotSupportedByCarrier => "the carrier of this conversation does not support this operation",
        Error::StorageUnavailable => "database is unavailable; retry with back-off",
        Error::Overloaded { .. } => "server is overloaded; retry with back-off",
        Error::DeadlineExceeded => "deadline exceeded; the operation may still complete",
        Error::Internal => "internal error; report the request id",
    };
    text.to_owned()
}

/// The metadata of `ErrorInfo`. It is sorted, so that equal errors are equal bytes: an error about a row that the caller
/// may not see must not differ from one about a row that does not exist.
fn metadata(error: &Error, http_status: u16) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::from([("http_status".to_owned(), http_status.to_string())]);
    let mut insert = |key: &str, value: String| metadata.insert(key.to_owned(), value);
    match error {
        Error::RecipientBlocked { address, matched_rule_id } => {
            insert("address", address.as_str().to_owned());
            let by_rule = matched_rule_id.is_some();
            insert("reason", if by_rule { "blocked_by_rule" } else { "not_allowed" }.to_owned());
            if let Some(rule) = matched_rule_id {
                insert("matched_rule_id", rule.to_string());
            }
        }
        Error::RecipientNotConnected { router_number, connect_command } => {
            if let Some(number) = router_number {
                insert("router_number", number.as_str().to_owned());
            }
            insert("connect_command", connect_command.clone());
        }
        Error::AlreadyExists { existing_id: Some(id), .. } => {
            insert("existing_id", id.to_string());
        }
        _ => {}
    }
    metadata
}

/// The delay after which a retry can succeed; `None` if the error promises none.
const fn retry_after(error: &Error) -> Option<Duration> {
    match error {
        Error::IdempotencyInProgress { retry_after }
        | Error::RateLimited { retry_after }
        | Error::Overloaded { retry_after } => Some(*retry_after),
        Error::UpstreamFailed { retry_after } => *retry_after,
        Error::StorageUnavailable => Some(STORAGE_RETRY),
        Error::StreamEnded => Some(SHUTDOWN_RETRY),
        _ => None,
    }
}

/// The detail that the reason promises besides `ErrorInfo` and `RetryInfo`.
fn specific_detail(error: &Error, request_id: &str) -> Option<Any> {
    match error {
        Error::InvalidArgument(violations) => {
            let violations = violations.iter().take(MAX_VIOLATIONS);
            let field_violations = violations.map(|violation| pb::bad_request::FieldViolation {
                field: violation.field.clone(),
                description: violation.description.clone(),
                ..Default::default()
            });
            Some(detail("BadRequest", &pb::BadRequest { field_violations: field_violations.collect() }))
        }
        // The requested id is not repeated: a row of another tenant and an absent row give equal statuses.
        Error::NotFound(resource) => {
            Some(resource_info(resource.name(), String::new(), "not found, or not visible to this key"))
        }
        Error::AlreadyExists { resource, existing_id } => {
            let existing = existing_id.map(|id| id.to_string()).unwrap_or_default();
            Some(resource_info(resource.name(), existing, "already exists"))
        }
        Error::Internal => {
            let info = pb::RequestInfo { request_id: request_id.to_owned(), serving_data: String::new() };
            Some(detail("RequestInfo", &info))
        }
        _ => {
            let (subject, remedy) = precondition(error)?;
            let violation = pb::precondition_failure::Violation {
                r#type: reason(error).name().to_owned(),
                subject: subject.to_owned(),
                description: remedy.to_owned(),
            };
            Some(detail("PreconditionFailure", &pb::PreconditionFailure { violations: vec![violation] }))
        }
    }
}

/// The subject of a violated precondition and how to satisfy it.
const fn precondition(error: &Error) -> Option<(&'static str, &'static str)> {
    Some(match error {
        Error::RecipientHasNotMessaged => {
            ("connection", "the recipient must send a message on this connection first")
        }
        Error::IdempotencyKeyReused => ("idempotency_key", "a different request needs a new key"),
        Error::IdentityNotEnabled => ("agent_identity", "an admin must enable iMessage for the identity"),
        Error::ConnectionReleased => {
            ("connection", "the recipient must connect again through the router number")
        }
        Error::RecipientOptedOut => {
            ("conversation", "the recipient must write START, or connect again through the router number")
        }
        Error::NotSupportedByCarrier => {
            ("carrier", "only conversations of another carrier support this operation")
        }
        _ => return None,
    })
}

fn resource_info(resource_type: &str, resource_name: String, description: &str) -> Any {
    let info = pb::ResourceInfo {
        resource_type: resource_type.to_owned(),
        resource_name,
        owner: String::new(),
        description: description.to_owned(),
    };
    detail("ResourceInfo", &info)
}

fn retry_info(delay: Duration) -> Any {
    // No delay of this service is near the limit of protobuf's Duration, 10,000 years.
    detail("RetryInfo", &pb::RetryInfo { retry_delay: delay.try_into().ok() })
}

/// A message of `google/rpc/error_details.proto` as one detail of a status.
fn detail(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/google.rpc.{name}"), value: message.encode_to_vec() }
}

/// `google.rpc.ErrorInfo`, with the same bytes for the same metadata. The generated type keeps metadata in a `HashMap`,
/// which is encoded in random order.
#[derive(Clone, PartialEq, prost::Message)]
struct SortedErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// The metadata that tells gRPC libraries when to retry. Without a promised delay a retry cannot help, or is not safe: the
/// caller has to decide.
fn retry_pushback(retry_after: Option<Duration>) -> MetadataMap {
    let value = match retry_after.map(|delay| delay.as_millis().to_string().parse()) {
        Some(Ok(delay)) => delay,
        // Digits always parse.
        Some(Err(_)) | None => MetadataValue::from_static("-1"),
    };
    let mut metadata = MetadataMap::with_capacity(1);
    metadata.insert(RETRY_PUSHBACK, value);
    metadata
}

/// The status of an error. `request_id` is repeated in the details of internal errors, where it leads to the cause in
/// the log.
#[must_use]
pub fn from_error(error: &Error, request_id: &str) -> Status {
    let reason = reason(error);
    let (code, http_status) = codes(reason);
    let error_info = SortedErrorInfo {
        reason: reason.name().to_owned(),
        domain: ERROR_DOMAIN.to_owned(),
        metadata: metadata(error, http_status),
    };
    let (retry_after, message) = (retry_after(error), message(error));
    let details = retry_after.map(retry_info).into_iter();
    let details = details.chain([detail("ErrorInfo", &error_info)]).chain(specific_detail(error, request_id));
    let rpc_status = pb::Status { code: code.into(), message: message.clone(), details: details.collect() };
    let details = rpc_status.encode_to_vec().into();
    Status::with_details_and_metadata(code, message, details, retry_pushback(retry_after))
}

/// The outcome of a response that ended without a status: it was cut off, or is not gRPC.
pub(in crate::grpc) fn missing() -> Status {
    Status::new(Code::Unknown, "")
}

/// The status of a request that cannot be decoded. prost reports the path from the inside out:
/// `Media.url: ReceiveMessageRequest.media: <cause>`.
pub(in crate::grpc) fn decode_error(error: &prost::DecodeError) -> Status {
    let text = error.to_string();
    let mut cause = text.strip_prefix("failed to decode Protobuf message: ").unwrap_or(&text);
    let mut path = Vec::new();
    while let Some((place, rest)) = cause.split_once(": ")
        && let Some((_, field)) = place.split_once('.')
        && !place.contains(' ')
    {
        path.insert(0, field);
        cause = rest;
    }
    from_error(&Error::invalid(path.join("."), cause), "")
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::from_error;
    use crate::domain::PhoneNumber;
    use crate::error::Error;

    #[test]
    fn equal_errors_are_equal_bytes() {
        let error = Error::RecipientNotConnected {
            router_number: Some(PhoneNumber::from("+12025550100".to_owned())),
            connect_command: "connect @sales".to_owned(),
        };
        let first = from_error(&error, "");
        for _ in 0..50 {
            assert_eq!(from_error(&error, "").details(), first.details());
        }
        let details = first.check_error_details().expect("details");
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!((info.reason.as_str(), info.metadata.len()), ("RECIPIENT_NOT_CONNECTED", 3));
        assert_eq!(info.metadata["connect_command"], "connect @sales");
    }
}
