//! Sending a message to a human: idempotency, the checks, and the dispatch to the carrier.

mod dispatch;
mod idempotency;
mod reconcile;
mod reply;
mod request;
mod send;
mod validate;

pub use self::reconcile::{adopt, max_send_duration, reconcile_by_id};
pub use self::request::{Reply, SendRequest, SendTarget};
pub use self::send::send;
pub use self::validate::{Content, validate_idempotency_key};
