//! Why database work failed, and which error its caller gets.

use std::sync::Arc;

use uuid::Uuid;

use crate::domain::{ConnectionId, OrganizationId};
use crate::error::Error;

#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The driver's error.
    #[error("{0}")]
    Sql(Arc<sqlx::Error>),
    #[error("no connection: {0}")]
    NoConnection(Arc<sqlx::Error>),
    /// The database did not answer in time, or must not be asked yet.
    #[error("{0}")]
    Unavailable(&'static str),
    /// A row has a value that no version of this program writes.
    #[error("{table}.{column} of {id} holds an impossible value")]
    Corrupt { table: &'static str, column: &'static str, id: Uuid },
    /// A connection cannot be released yet: messages are being sent on it.
    #[error("sends are under way on the connection")]
    SendsUnderWay { organization_id: OrganizationId, connection_id: ConnectionId },
    /// A rule, not the database, refused the work inside a transaction, which was rolled back.
    #[error(transparent)]
    Refused(#[from] Error),
}

/// In an `Arc`, since all callers of a batch get the error.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(Arc::new(error))
    }
}

/// SQLSTATE classes and codes that the service distinguishes (PostgreSQL manual, appendix A).
pub(super) mod sqlstate {
    pub(in crate::store::pool) const INTEGRITY: &str = "23";
    pub(in crate::store::pool) const SERIALIZATION_FAILURE: &str = "40001";
    pub(in crate::store::pool) const DEADLOCK_DETECTED: &str = "40P01";
    pub(in crate::store::pool) const READ_ONLY_TRANSACTION: &str = "25006";
    /// A full disk, no memory, too many connections.
    pub(in crate::store::pool) const INSUFFICIENT_RESOURCES: &str = "53";
    /// A failure outside PostgreSQL, such as a disk that cannot be read or written.
    pub(in crate::store::pool) const SYSTEM_ERROR: &str = "58";
    pub(in crate::store::pool) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(in crate::store::pool) const QUERY_CANCELED: &str = "57014";
    /// Shutdown, crash, not yet accepting connections; idle sessions that the server ended.
    pub(in crate::store::pool) const OPERATOR_INTERVENTION: &str = "57P";
    pub(in crate::store::pool) const IDLE_IN_TRANSACTION: &str = "25P03";
    pub(in crate::store::pool) const CONNECTION_EXCEPTION: &str = "08";
    pub(in crate::store::pool) const PROTOCOL_VIOLATION: &str = "08P01";
    pub(in crate::store::pool) const UNDEFINED_TABLE: &str = "42P01";
}

impl StoreError {
    pub(in crate::store) fn no_connection(error: sqlx::Error) -> Self {
        Self::NoConnection(Arc::new(error))
    }

    fn sqlstate(&self) -> Option<String> {
        match self {
            Self::Sql(error) | Self::NoConnection(error) => {
                error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(Into::into)
            }
            _ => None,
        }
    }

    /// Whether a row was refused by this constraint or unique index.
    #[must_use]
    pub fn violates(&self, constraint: &str) -> bool {
        let Self::Sql(error) = self else { return false };
        let Some(error) = error.as_database_error() else { return false };
        match error.constraint() {
            Some(named) => is_of(named, constraint),
            // An error from another Citus node names the constraint in its message only.
            None if error.code().is_some_and(|code| code.starts_with(sqlstate::INTEGRITY)) => {
                error.message().split('"').skip(1).step_by(2).any(|named| is_of(named, constraint))
            }
            None => false,
        }
    }

    /// Whether the transaction conflicted with another one and can be repeated: the next attempt sees the other's changes.
    #[must_use]
    pub fn is_serialization_conflict(&self) -> bool {
        self.violates("reactions_one_live")
            || self.sqlstate().is_some_and(|code| {
                [sqlstate::SERIALIZATION_FAILURE, sqlstate::DEADLOCK_DETECTED].contains(&code.as_str())
            })
    }

    /// Whether the server stopped waiting for a lock or for the end of the statement.
    #[must_use]
    pub fn is_lock_timeout(&self) -> bool {
        self.sqlstate().is_some_and(|code| {
            [sqlstate::LOCK_NOT_AVAILABLE, sqlstate::QUERY_CANCELED].contains(&code.as_str())
        })
    }

    /// Whether the connection is unusable now.
    #[must_use]
    pub fn broke_connection(&self) -> bool {
        matches!(self, Self::Sql(error) if breaks_connection(error))
    }

    fn is_transient(&self) -> bool {
        self.broke_connection()
            || self.is_serialization_conflict()
            || matches!(self, Self::NoConnection(_) | Self::Unavailable(_) | Self::SendsUnderWay { .. })
            || self.is_lock_timeout()
            || self.sqlstate().is_some_and(|code| {
                code.starts_with(sqlstate::INSUFFICIENT_RESOURCES) || code.starts_with(sqlstate::SYSTEM_ERROR)
            })
    }
}

/// Whether a name is that of a constraint. On a Citus node the name ends with the number of the shard.
fn is_of(named: &str, constraint: &str) -> bool {
    let Some(end) = named.strip_prefix(constraint) else { return false };
    let shard = end.strip_prefix('_');
    end.is_empty() || shard.is_some_and(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether a connection is unusable after this error.
pub(super) fn breaks_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with(sqlstate::OPERATOR_INTERVENTION)
                || code.starts_with(sqlstate::CONNECTION_EXCEPTION)
                || [sqlstate::IDLE_IN_TRANSACTION, sqlstate::READ_ONLY_TRANSACTION].contains(&&*code)
        }),
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => {
            true
        }
        _ => false,
    }
}

/// Logs the cause once, and gives the caller a neutral error. The message of PostgreSQL names tables and constraints but
/// no values; its detail, which may quote a row, is left out.
impl From<StoreError> for Error {
    fn from(failure: StoreError) -> Self {
        if let StoreError::Refused(error) = failure {
            return error;
        }
        let code = failure.sqlstate();
        if failure.is_transient() {
            tracing::warn!(error = %failure, db.sqlstate = code, "database unavailable");
            Self::StorageUnavailable
        } else {
            tracing::error!(error = %failure, db.sqlstate = code, "database error");
            Self::Internal
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_constraint_of_a_shard_is_known_by_its_name() {
        assert!(is_of("lines_pkey", "lines_pkey"));
        assert!(is_of("lines_pkey_102008", "lines_pkey"));
        for other in
            ["lines_pkey_", "lines_pkey_old", "lines_pkey_10a", "lines", "lines_pkey2", "old_lines_pkey"]
        {
            assert!(!is_of(other, "lines_pkey"), "{other}");
        }
    }
}
