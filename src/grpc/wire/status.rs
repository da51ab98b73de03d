//! The only place that builds a `tonic::Status`. Code, reason and HTTP status of each error are those of the table in
//! `proto/inkbox/imessage/v1/errors.proto`; every status carries `ErrorInfo` and what else its reason promises.
#![allow(clippy::disallowed_methods, reason = "this is where statuses are built")]

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

use crate::error::Error;

/// `ErrorInfo.domain` of every error.
pub const ERROR_DOMAIN: &str = "imessage.inkbox";
/// How soon to try again when the database did not answer. It is asked twice a second whether it does again.
const STORAGE_RETRY: Duration = Duration::from_secs(1);
/// How soon to look for another replica.
const STOPPING_RETRY: Duration = Duration::from_millis(500);
/// Most wrong fields named in one answer: details travel as a header, and clients cap their headers at 8 KiB.
const MOST_VIOLATIONS: usize = 20;

struct Kind {
    code: Code,
    reason: &'static str,
    http_status: &'static str,
}

const fn kind(error: &Error) -> Kind {
    let (code, reason, http_status) = match error {
        Error::InvalidArgument(_) => (Code::InvalidArgument, "INVALID_ARGUMENT", "422"),
        Error::ApiKeyInvalid => (Code::Unauthenticated, "API_KEY_INVALID", "401"),
        Error::IdentityMismatch => (Code::PermissionDenied, "IDENTITY_MISMATCH", "403"),
        Error::ScopeInsufficient(_) => (Code::PermissionDenied, "SCOPE_INSUFFICIENT", "403"),
        Error::RecipientBlocked { .. } => (Code::PermissionDenied, "RECIPIENT_BLOCKED", "403"),
        Error::NotFound(_) => (Code::NotFound, "NOT_FOUND", "404"),
        Error::RecipientNotConnected { .. } => (Code::NotFound, "RECIPIENT_NOT_CONNECTED", "404"),
        Error::IdentityNotEnabled => (Code::FailedPrecondition, "IDENTITY_NOT_ENABLED", "400"),
        Error::ConnectionReleased => (Code::FailedPrecondition, "CONNECTION_RELEASED", "409"),
        Error::RecipientHasNotMessaged => (Code::FailedPrecondition, "RECIPIENT_HAS_NOT_MESSAGED", "409"),
        Error::NotSupportedByCarrier => (Code::FailedPrecondition, "NOT_SUPPORTED_BY_CARRIER", "409"),
        Error::IdempotencyKeyReused => (Code::FailedPrecondition, "IDEMPOTENCY_KEY_REUSED", "409"),
        Error::IdempotencyInProgress { .. } => (Code::Aborted, "IDEMPOTENCY_IN_PROGRESS", "409"),
        Error::RateLimited { .. } => (Code::ResourceExhausted, "RATE_LIMITED", "429"),
        Error::AlreadyExists { .. } => (Code::AlreadyExists, "ALREADY_EXISTS", "409"),
        Error::UpstreamFailed { .. } => (Code::Unavailable, "UPSTREAM_FAILED", "502"),
        Error::StorageUnavailable => (Code::Unavailable, "STORAGE_UNAVAILABLE", "503"),
        Error::Overloaded { .. } => (Code::ResourceExhausted, "OVERLOADED", "503"),
        Error::TooLarge { .. } => (Code::ResourceExhausted, "TOO_LARGE", "413"),
        Error::DeadlineExceeded => (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "504"),
        Error::Internal => (Code::Internal, "INTERNAL", "500"),
    };
    Kind { code, reason, http_status }
}

fn message(error: &Error) -> String {
    match error {
        Error::InvalidArgument(violations) => {
            let fields: Vec<_> = violations
                .iter()
                .take(MOST_VIOLATIONS)
                .map(|violation| format!("{}: {}", violation.field, violation.description))
                .collect();
            format!("invalid argument: {}", fields.join("; "))
        }
        Error::ApiKeyInvalid => "the API key is missing or not valid".to_owned(),
        Error::IdentityMismatch => "this key belongs to another identity than the one named".to_owned(),
        Error::ScopeInsufficient(needed) => format!("this call needs {needed}"),
        Error::RecipientBlocked { .. } => "the identity's contact rules block this number".to_owned(),
        Error::NotFound(resource) => format!("no such {resource}, or not visible to this key"),
        Error::RecipientNotConnected { .. } => {
            "this number is not connected to the identity; the human has to text the connect command to the router \
             number"
                .to_owned()
        }
        Error::RecipientHasNotMessaged => {
            "the human has to text first, on the connection that is active now".to_owned()
        }
        Error::IdempotencyKeyReused => "this idempotency key was used for another request".to_owned(),
        Error::IdempotencyInProgress { .. } => {
            "the first request with this idempotency key has no answer yet".to_owned()
        }
        Error::RateLimited { .. } => "the identity has sent as much as it may in 24 hours".to_owned(),
        Error::IdentityNotEnabled => "iMessage is not enabled for this identity".to_owned(),
        Error::ConnectionReleased => "the connection was released; the human has to connect again".to_owned(),
        Error::AlreadyExists { resource, .. } => format!("this {resource} already exists"),
        Error::UpstreamFailed { retry_after: Some(_) } => "the line failed; trying again can help".to_owned(),
        Error::UpstreamFailed { retry_after: None } => {
            "the line refused; trying again will not help".to_owned()
        }
        Error::NotSupportedByCarrier => {
            "the carrier of this conversation's line cannot do this; see docs/lines.md".to_owned()
        }
        Error::Overloaded { .. } => "the service has as many calls as it takes; try again".to_owned(),
        Error::TooLarge { what, limit } => format!("{what} is larger than {limit} bytes"),
        Error::DeadlineExceeded => {
            "the call's time is over; what it began may still be done".to_owned()
        }
        Error::StorageUnavailable => "the database is not available; try again".to_owned(),
        Error::Internal => "internal error; the request id tells our log which".to_owned(),
    }
}

/// The status of an error. `request_id` is repeated in the details of those that we have to look into.
#[must_use]
pub fn of(error: &Error, request_id: &str) -> Status {
    let Kind { code, reason, http_status } = kind(error);
    let mut metadata = HashMap::from([("http_status".to_owned(), http_status.to_owned())]);
    let mut details = ErrorDetails::new();
    match error {
        Error::InvalidArgument(violations) => {
            let named = violations.iter().take(MOST_VIOLATIONS);
            let named: Vec<_> = named.map(|v| FieldViolation::new(&*v.field, &*v.description)).collect();
            details.set_bad_request(named);
        }
        Error::RecipientBlocked { matched_rule_id: Some(rule) } => {
            metadata.insert("matched_rule_id".to_owned(), rule.to_string());
        }
        // The id that was asked for is not repeated: an answer about a stranger's row and one about no row are equal.
        Error::NotFound(resource) => {
            details.set_resource_info(resource.name(), "", "", "absent, or not visible to this key");
        }
        Error::RecipientNotConnected { router_number, connect_command } => {
            if let Some(number) = router_number {
                metadata.insert("router_number".to_owned(), number.as_str().to_owned());
            }
            metadata.insert("connect_command".to_owned(), connect_command.clone());
        }
        Error::RecipientHasNotMessaged => {
            let remedy = "the human has to text the agent on this connection";
            details.add_precondition_failure_violation(reason, "connection", remedy);
        }
        Error::IdempotencyKeyReused => {
            let remedy = "another request needs another key";
            details.add_precondition_failure_violation(reason, "idempotency_key", remedy);
        }
        Error::IdentityNotEnabled => {
            let remedy = "an admin has to enable iMessage for the identity";
            details.add_precondition_failure_violation(reason, "agent_identity", remedy);
        }
        Error::ConnectionReleased => {
            let remedy = "the human has to connect again through the router line";
            details.add_precondition_failure_violation(reason, "connection", remedy);
        }
        Error::NotSupportedByCarrier => {
            let remedy = "only a conversation on a line with another carrier can do this";
            details.add_precondition_failure_violation(reason, "carrier", remedy);
        }
        Error::AlreadyExists { resource, existing_id } => {
            let existing = existing_id.map(|id| id.to_string()).unwrap_or_default();
            details.set_resource_info(resource.name(), existing.as_str(), "", "already exists");
            if !existing.is_empty() {
                metadata.insert("existing_id".to_owned(), existing);
            }
        }
        Error::IdempotencyInProgress { retry_after: delay }
        | Error::RateLimited { retry_after: delay }
        | Error::Overloaded { retry_after: delay }
        | Error::UpstreamFailed { retry_after: Some(delay) } => {
            details.set_retry_info(Some(*delay));
        }
        Error::StorageUnavailable => {
            details.set_retry_info(Some(STORAGE_RETRY));
        }
        Error::Internal => {
            details.set_request_info(request_id, "");
        }
        Error::ApiKeyInvalid
        | Error::DeadlineExceeded
        | Error::TooLarge { .. }
        | Error::IdentityMismatch
        | Error::ScopeInsufficient(_)
        | Error::RecipientBlocked { matched_rule_id: None }
        | Error::UpstreamFailed { retry_after: None } => {}
    }
    let has_order = metadata.len() > 1;
    details.set_error_info(reason, ERROR_DOMAIN, metadata);
    let status = Status::with_error_details(code, message(error), details);
    if has_order { in_order(status) } else { status }
}

/// `google.rpc.ErrorInfo` with its metadata in order.
#[derive(Clone, PartialEq, prost::Message)]
struct OrderedErrorInfo {
    #[prost(string, tag = "1")]
    reason: String,
    #[prost(string, tag = "2")]
    domain: String,
    #[prost(btree_map = "string, string", tag = "3")]
    metadata: BTreeMap<String, String>,
}

/// The same status with the metadata of its `ErrorInfo` in order. The generated type keeps it in a map whose order is
/// another one each time, and answers that say the same are to be the same bytes.
fn in_order(status: Status) -> Status {
    let Ok(mut details) = tonic_types::Status::decode(status.details()) else { return status };
    for detail in
        details.details.iter_mut().filter(|detail| detail.type_url.ends_with("/google.rpc.ErrorInfo"))
    {
        let Ok(info) = OrderedErrorInfo::decode(&*detail.value) else { return status };
        detail.value = info.encode_to_vec();
    }
    Status::with_details(status.code(), status.message(), details.encode_to_vec().into())
}

/// The end of an endless answer (watching health, reflection) where the service stops.
pub(in crate::grpc) fn stopping() -> Status {
    let details = ErrorDetails::with_retry_info(Some(STOPPING_RETRY));
    Status::with_error_details(
        Code::Unavailable,
        "the service is stopping; another one may be there",
        details,
    )
}

/// What stands for the status of an answer that has none, and so was cut or is no gRPC.
pub(in crate::grpc) fn none() -> Status {
    Status::new(Code::Unknown, "")
}

/// A request that is not a message of the contract. prost says where, from the inside out:
/// `Media.url: ReceiveMessageRequest.media: what`.
pub(in crate::grpc) fn undecodable(error: &prost::DecodeError) -> Status {
    let text = error.to_string();
    let mut what = text.strip_prefix("failed to decode Protobuf message: ").unwrap_or(&text);
    let mut path = Vec::new();
    while let Some((place, rest)) = what.split_once(": ")
        && let Some((_, field)) = place.split_once('.')
        && !place.contains(' ')
    {
        path.insert(0, field);
        what = rest;
    }
    of(&Error::invalid(path.join("."), what), "")
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::of;
    use crate::domain::PhoneNumber;
    use crate::error::Error;

    #[test]
    fn errors_that_say_the_same_are_the_same_bytes() {
        let error = Error::RecipientNotConnected {
            router_number: Some(PhoneNumber::from("+12025550100".to_owned())),
            connect_command: "connect @sales".to_owned(),
        };
        let first = of(&error, "");
        for _ in 0..50 {
            assert_eq!(of(&error, "").details(), first.details());
        }
        let details = first.check_error_details().expect("details");
        let info = details.error_info().expect("an ErrorInfo");
        assert_eq!((info.reason.as_str(), info.metadata.len()), ("RECIPIENT_NOT_CONNECTED", 3));
        assert_eq!(info.metadata["connect_command"], "connect @sales");
    }
}
