//! The event log: reading it, deleting what is old, and the key of cursors. Events are written by the transactions that make
//! the changes: see `DbConnection::log_event`.

mod cursor_key;
mod expiry;
mod forget;
mod heads;
mod read;
mod subject;

pub use cursor_key::cursor_key;
pub use expiry::delete_expired;
pub use forget::forget_erased;
pub use heads::{LogBounds, bounds, last_sequences};
pub use read::{LoggedEvent, PAGE_SIZE, after};
pub use subject::{SubjectRows, subject};
