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
    /// The private PostgreSQL is started only without `DATABASE_URL`. Those who did not mean to leave it out would not
    /// understand that a folder or a program is missing.
    fn from(error: crate::dev::embedded_postgres::Error) -> Self {
        use crate::dev::embedded_postgres::Error;
        let advice = match &error {
            Error::NotInstalled => "Or set DATABASE_URL to a database that runs already",
            Error::Io(..) => {
                "DATABASE_URL is not set, so a private PostgreSQL is needed: set DATABASE_URL, or INKBOX_DATA_DIR to a \
                 folder that this account can write to"
            }
            _ => return Self::Failed(error.to_string()),
        };
        Self::Failed(format!("{error}. {advice}"))
    }
}
