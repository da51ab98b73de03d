//! Use cases: everything that changes a conversation or reaches a phone. An API (gRPC, carrier webhooks) parses its
//! request, calls one of these functions with domain types, and encodes the result. Use cases apply the rules of
//! [`crate::domain`], read and write through [`crate::store`], and call [`crate::carriers`]. They do not know which API
//! called them, so that each rule is implemented once. Plain reads have no use case; handlers call the store.
//!
//! | Function | Promise |
//! | --- | --- |
//! | [`outbound::send`] | stores a message, hands it to the carrier and records the answer; sends once per idempotency key |
//! | [`reactions`] | puts or removes an agent's tapback, first on the phone, then in the database |
//! | [`mark_read()`] | sends a read receipt, then moves the read horizon |
//! | [`send_typing`], [`stop_typing`] | shows the typing indicator, once or for a duration, and ends it; changes no row |
//! | [`settle()`] | waits until no message that a change forbids is on its way |
//! | [`release()`] | ends a connection after its sends in progress |
//! | [`events`] | reads the event log and waits for what comes next; skips nothing |
//! | [`inbound::receive`] | stores a human's text or executes a router command, exactly once per provider id |
//! | [`router_replies`] | sends the replies to router commands that came by webhooks |
//! | [`inbound::receive_reaction`], [`inbound::receive_tapback_text`] | stores a human's tapback |
//! | [`inbound::update_delivery_status`] | moves the delivery status of a sent message forward |
//! | [`early_statuses`] | keeps delivery reports that arrive before the send has recorded its message |

pub mod early_statuses;
pub mod events;
pub mod inbound;
mod mark_read;
pub mod outbound;
pub mod reactions;
mod release;
pub mod router_replies;
mod settle;
mod typing;

pub use mark_read::mark_read;
pub use release::release;
pub use settle::settle;
pub use typing::{send_typing, stop_typing};
