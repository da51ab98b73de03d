//! Errors of the private server.

use std::io;
use std::path::{Path, PathBuf};

/// Why the private server cannot run. Each text is meant for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No folder with both `postgres` and `initdb` was found.
    #[error("PostgreSQL is not installed: run `make setup`, or install your system's PostgreSQL server")]
    NotInstalled,
    /// Another live process, or another [`Server`](super::Server) of this one, owns the data folder.
    #[error("{0} is in use by another process: stop that one, or set INKBOX_DATA_DIR to another folder")]
    InUse(PathBuf),
    /// The path, owner or version of the folder, or the account, is not suitable; the text says what to do.
    #[error("{0}")]
    Unsuitable(String),
    /// A program failed; the text ends with the last lines of its log.
    #[error("{0}")]
    Failed(String),
    /// An operation (0) on a file (1) failed.
    #[error("cannot {0} {1}: {2}")]
    Io(&'static str, PathBuf, #[source] io::Error),
    /// The server runs but rejects a statement or a connection.
    #[error("the private PostgreSQL server: {0}")]
    Sql(#[from] sqlx::Error),
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io(action, path.to_owned(), source)
}
