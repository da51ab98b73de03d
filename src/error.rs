//! What can go wrong, by meaning. One type for the whole service; `grpc::status` turns it into a gRPC status.

use std::time::Duration;

use uuid::Uuid;

use crate::domain::{PhoneNumber, RuleId};

/// The result of anything that a caller may learn the failure of.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A reason from `proto/inkbox/imessage/v1/errors.proto`, with what its details need.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong; every wrong field is named.
    #[error("invalid argument")]
    InvalidArgument(Vec<FieldViolation>),
    /// No key, or one that does not work. Why is nobody's business.
    #[error("API key invalid")]
    ApiKeyInvalid,
    /// An identity key names another identity.
    #[error("identity mismatch")]
    IdentityMismatch,
    /// This kind of key may not call this.
    #[error("scope insufficient: needs {0}")]
    ScopeInsufficient(&'static str),
    /// Absent or invisible, which read alike.
    #[error("{0} not found")]
    NotFound(Resource),
    /// The identity's iMessage is off.
    #[error("identity not enabled")]
    IdentityNotEnabled,
    /// A contact rule, or a whitelist's default, keeps the human out.
    #[error("recipient blocked")]
    RecipientBlocked {
        /// The rule; `None` by default.
        matched_rule_id: Option<RuleId>,
    },
    /// A send by number to a human who is not connected, with what the human can do about it.
    #[error("recipient not connected")]
    RecipientNotConnected {
        /// The router line, if there is one.
        router_number: Option<PhoneNumber>,
        /// What to text to it.
        connect_command: String,
    },
    /// The human has not texted on this connection yet.
    #[error("recipient has not messaged")]
    RecipientHasNotMessaged,
    /// The idempotency key was used for another request.
    #[error("idempotency key reused")]
    IdempotencyKeyReused,
    /// The first request with this idempotency key has no answer yet.
    #[error("idempotency in progress")]
    IdempotencyInProgress {
        /// After how long it has one for sure.
        retry_after: Duration,
    },
    /// The identity has sent as much as it may in a day.
    #[error("rate limited")]
    RateLimited {
        /// When the next send is free.
        retry_after: Duration,
    },
    /// The conversation's newest connection has ended.
    #[error("connection released")]
    ConnectionReleased,
    /// Something else has what must be unique.
    #[error("{resource} already exists")]
    AlreadyExists {
        /// What exists.
        resource: Resource,
        /// Which one, where the caller may see it.
        existing_id: Option<Uuid>,
    },
    /// The line did not do what was asked.
    #[error("line failed")]
    UpstreamFailed {
        /// After how long trying again can help; `None` when it cannot.
        retry_after: Option<Duration>,
    },
    /// The carrier of this line cannot do what was asked. Nothing was sent, nothing is stored.
    #[error("not supported by the carrier")]
    NotSupportedByCarrier,
    /// The database does not answer. Nothing is known to have changed.
    #[error("storage unavailable")]
    StorageUnavailable,
    /// This process has as many calls as it takes. Nothing was looked at.
    #[error("overloaded")]
    Overloaded {
        /// When it may have room.
        retry_after: Duration,
    },
    /// More bytes than are taken.
    #[error("{what} too large")]
    TooLarge {
        /// What is too large: the request, its metadata, or its answer.
        what: &'static str,
        /// How much is taken, in bytes.
        limit: usize,
    },
    /// The call's time is over. What it began may still be done.
    #[error("deadline exceeded")]
    DeadlineExceeded,
    /// A defect of ours. The cause has been logged; the caller gets the request id.
    #[error("internal error")]
    Internal,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Its name in the proto, with a path where it is nested (`media[0].url`).
    pub field: String,
    /// What it must be.
    pub description: String,
}

/// Kinds of thing that can be missing or taken, as `ResourceInfo.resource_type` names them.
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
}

impl Resource {
    /// The proto's name for it.
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
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Error {
    /// One wrong field.
    pub fn invalid(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self::InvalidArgument(vec![FieldViolation { field: field.into(), description: description.into() }])
    }
}
