//! Inbound messages: where they belong, and storing them.

mod append;
mod append_batch;
mod delivered;
mod delivery_context;
mod message;
mod route;

pub use append::{AppendOutcome, store};
pub use delivered::find_delivered;
pub use delivery_context::{DeliveryContext, delivery_context};
pub use message::{InboundText, NewInbound, StoredMessage};
pub use route::{Destination, Route, route};
