//! Why the server could not start, or ended before it was told to.

use crate::carriers::{CarrierConfigError, NotConfigured};
use crate::error::Error;
use crate::store::SchemaError;

/// Why the service has failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The schema is not one that this program can work with.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The database has lines whose carrier is not configured.
    #[error(transparent)]
    NotConfigured(#[from] NotConfigured),
    /// A carrier's settings are invalid.
    #[error(transparent)]
    Lines(#[from] CarrierConfigError),
    /// A part could not be created.
    #[error(transparent)]
    Assembly(#[from] Error),
    /// The compiled proto files are invalid.
    #[error("reflection: {0}")]
    Reflection(#[from] prost::DecodeError),
    /// A background task ended before the shutdown.
    #[error("background task `{0}` ended unexpectedly")]
    TaskEnded(&'static str),
    /// A background task panicked.
    #[error("background task `{0}` panicked")]
    TaskPanicked(&'static str),
}
