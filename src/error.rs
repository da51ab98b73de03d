//! The error type of every operation that a client can call, by meaning.
//!
//! Which error type belongs where:
//!
//! - [`Error`]: everything between an API and the store. Each variant is one reason of
//!   `proto/inkbox/imessage/v1/errors.proto`. `grpc::status` is the only place that turns it into a gRPC status; a handler
//!   returns `Err(Error::NotFound(..))` and never builds a status itself.
//! - [`FieldViolation`], collected by `fields::Violations`: invalid fields of a request, all reported at once as
//!   [`Error::InvalidArgument`].
//! - The store's own error type: failures of the database. It converts into [`Error`] and logs the cause at that point, so
//!   that driver errors never reach a client. Absence is not an error: store functions return `Option`.
//! - The carriers' error type: the result of a call to a carrier, decided by whether a retry can help. It becomes
//!   [`Error::UpstreamFailed`] or [`Error::NotSupportedByCarrier`].
//! - `server::ServeError` and the command line's error type: reasons for which the process ends.
//!
//! To add a reason: add it to `errors.proto`, add a variant here, and give it its codes and text in `grpc::status`. The
//! compiler and tests/api/freeze/errors.rs name everything that is still missing.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::{Ineligible, PhoneNumber, RuleId};

/// The result of an operation whose failure is reported to the client.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A reason of `proto/inkbox/imessage/v1/errors.proto`, with the data of its details.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The request is invalid; every invalid field is named.
    #[error("invalid argument")]
    InvalidArgument(Vec<FieldViolation>),
    /// The API key is missing or does not work. Clients are not told which.
    #[error("API key invalid")]
    ApiKeyInvalid,
    /// An identity key names another identity.
    #[error("identity mismatch")]
    IdentityMismatch,
    /// This kind of key may not make this call; the text says what the call requires.
    #[error("scope insufficient: needs {0}")]
    ScopeInsufficient(&'static str),
    /// The resource is absent or not visible to the caller. Clients cannot tell the two apart.
    #[error("{0} not found")]
    NotFound(Resource),
    /// iMessage is not enabled for the identity.
    #[error("identity not enabled")]
    IdentityNotEnabled,
    /// A contact rule, or the default of a whitelist, blocks the human.
    #[error("recipient blocked")]
    RecipientBlocked {
        /// The number that is blocked.
        address: PhoneNumber,
        /// The blocking rule; `None` if the filter mode blocks by default.
        matched_rule_id: Option<RuleId>,
    },
    /// A send by number to a human who is not connected.
    #[error("recipient not connected")]
    RecipientNotConnected {
        /// The router line, if one exists.
        router_number: Option<PhoneNumber>,
        /// The command that the human must text to it.
        connect_command: String,
    },
    /// The human has not sent a message on this connection yet.
    #[error("recipient has not messaged")]
    RecipientHasNotMessaged,
    /// The idempotency key was used with a different request.
    #[error("idempotency key reused")]
    IdempotencyKeyReused,
    /// The first request with this idempotency key is still in progress.
    #[error("idempotency in progress")]
    IdempotencyInProgress {
        /// Time after which that request has certainly ended.
        retry_after: Duration,
    },
    /// The identity has reached its limit of actions per minute, or of messages per day.
    #[error("rate limited")]
    RateLimited {
        /// Time until the next one is allowed.
        retry_after: Duration,
    },
    /// The conversation's newest connection has ended.
    #[error("connection released")]
    ConnectionReleased,
    /// The human has asked for no more messages.
    #[error("recipient has opted out")]
    RecipientOptedOut,
    /// A unique value is taken by another row.
    #[error("{resource} already exists")]
    AlreadyExists {
        /// Type of the existing resource.
        resource: Resource,
        /// Its id, if the caller may see it.
        existing_id: Option<Uuid>,
    },
    /// The carrier failed or rejected the call.
    #[error("line failed")]
    UpstreamFailed {
        /// Time after which a retry can succeed; `None` if the failure is permanent.
        retry_after: Option<Duration>,
    },
    /// The carrier of this line does not support the operation. Nothing was sent or stored.
    #[error("not supported by the carrier")]
    NotSupportedByCarrier,
    /// The database does not answer. Whether a change was made is not known.
    #[error("storage unavailable")]
    StorageUnavailable,
    /// The process has reached its limit of calls. The call was rejected before any work.
    #[error("overloaded")]
    Overloaded {
        /// Time after which a retry may succeed.
        retry_after: Duration,
    },
    /// A size limit is exceeded.
    #[error("{what} too large")]
    TooLarge {
        /// The part that is too large: the request, its metadata or the response.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The deadline of the call has passed. The operation may still complete.
    #[error("deadline exceeded")]
    DeadlineExceeded,
    /// The server has no such method, or cannot read what the client sends; the text says which.
    #[error("not implemented: {0}")]
    Unimplemented(&'static str),
    /// The content type of the request is not that of gRPC with protobuf.
    #[error("unsupported media type")]
    UnsupportedMediaType,
    /// Events after the cursor are no longer kept.
    #[error("cursor expired")]
    CursorExpired,
    /// The server ends a stream that its client may open again, as when it shuts down.
    #[error("stream ended by the server")]
    StreamEnded,
    /// A defect of the server. The cause has been logged; the client gets the request id.
    #[error("internal error")]
    Internal,
}

/// One invalid field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Name in the proto; the path of a nested field (`media[0].url`).
    pub field: String,
    /// What the value must be.
    pub description: String,
}

/// Types of resources that can be missing or taken: the values of `ResourceInfo.resource_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A conversation.
    Conversation,
    /// A connection.
    Connection,
    /// An identity.
    Identity,
    /// An API key.
    ApiKey,
    /// A contact rule.
    ContactRule,
    /// A message.
    Message,
    /// A reaction.
    Reaction,
    /// A line, or the router line.
    Line,
    /// An entry of the health service.
    Service,
}

impl Resource {
    /// The value of `ResourceInfo.resource_type`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conversation => "conversation",
            Self::Connection => "connection",
            Self::Identity => "identity",
            Self::ApiKey => "api_key",
            Self::ContactRule => "contact_rule",
            Self::Message => "message",
            Self::Reaction => "reaction",
            Self::Line => "line",
            Self::Service => "service",
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Error {
    /// An error about one invalid field.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::InvalidArgument(vec![FieldViolation { field: field.into(), description: description.into() }])
    }
}

impl Error {
    /// Why the human with this number may not be reached. The router number of `RecipientNotConnected` is not known
    /// here; the caller adds it.
    #[must_use]
    pub fn ineligible(ineligible: Ineligible, address: &PhoneNumber) -> Self {
        match ineligible {
            Ineligible::IdentityNotEnabled => Self::IdentityNotEnabled,
            Ineligible::RecipientBlocked { matched_rule_id } => {
                Self::RecipientBlocked { address: address.clone(), matched_rule_id }
            }
            Ineligible::ConnectionReleased => Self::ConnectionReleased,
            Ineligible::RecipientNotConnected { connect_command } => {
                Self::RecipientNotConnected { router_number: None, connect_command }
            }
            Ineligible::RecipientOptedOut => Self::RecipientOptedOut,
            Ineligible::RecipientHasNotMessaged => Self::RecipientHasNotMessaged,
        }
    }
}
