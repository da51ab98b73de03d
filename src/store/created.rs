//! The result of inserting a row with a unique key.

use uuid::Uuid;

use crate::error::{Error, Resource};

/// Whether a row was inserted.
#[derive(Debug, Clone)]
pub enum Created<T> {
    /// It was inserted.
    New(T),
    /// Another row has the same key; nothing was inserted.
    Conflict {
        /// The other row; `None` if it belongs to another organization or was deleted since.
        existing_id: Option<Uuid>,
    },
}

impl<T> Created<T> {
    /// The inserted row.
    ///
    /// # Errors
    /// `AlreadyExists` for a conflict.
    pub fn or_already_exists(self, resource: Resource) -> Result<T, Error> {
        match self {
            Self::New(row) => Ok(row),
            Self::Conflict { existing_id } => Err(Error::AlreadyExists { resource, existing_id }),
        }
    }
}
