//! The error of a command.

use crate::store::{SchemaError, StoreError};

#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The arguments or the configuration are invalid: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The command failed: exit code 1.
    #[error("{0}")]
    Failed(String),
}

impl From<crate::error::Error> for CliError {
    fn from(error: crate::error::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(error) => error.into(),
            other => Self::Failed(format!("database: {other}")),
        }
    }
}

impl From<SchemaError> for CliError {
    fn from(error: SchemaError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<crate::dev::embedded_postgres::Error> for CliError {
    fn from(error: crate::dev::embedded_postgres::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
