//! Messages: queries of both directions, and storing outbound ones. `inbound` stores the inbound ones.

pub(in crate::store) mod append;
mod carrier_ref;
mod columns;
mod early;
mod get;
mod idempotency;
mod list;
mod pending;
mod send;
mod status;

pub use carrier_ref::{CarrierRef, find_carrier_ref, known_provider_ids};
pub use early::{keep_early, list_early};
pub(in crate::store) use get::by_ids;
pub use get::{get, get_from_primary};
pub use idempotency::{IdempotencyRecord, find_idempotency_record, free_idempotency_key};
pub use list::{MessageFilter, MessageScope, list};
pub use pending::take_pending;
pub use send::{NewOutbound, Outcome, Reservation, record_lookup, record_result, reserve};
pub use status::{DeliveryUpdate, UpdateOutcome, update_status};

/// The constraint by which a carrier's id of a message is used once per line.
pub const ONE_PER_PROVIDER_ID: &str = "messages_one_per_provider_id";
