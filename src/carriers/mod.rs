//! Carriers: the services that deliver messages to phones. The sandbox is a carrier that reaches no phone.
//!
//! [`CarrierRegistry::for_line`] returns the [`Carrier`] of a line. An implementation makes one HTTP request per action
//! through `client::ApiClient`, which bounds concurrency, queue time, call time and response size, divides the places
//! fairly among organizations, and stops calling a carrier that is down (circuit breakers). [`ConversationQueues`] serializes the actions of one conversation.
//!
//! # How to add a carrier
//!
//! 1. `src/domain/line.rs`: add a variant to [`CarrierKind`](crate::domain::CarrierKind) with the next number, and a
//!    migration that extends the check constraint of `lines.carrier`.
//! 2. `src/carriers/settings.rs`: add the carrier's settings to [`CarrierSettings`]. `src/config/carriers.rs` reads them
//!    from flags and variables; extend the tables of valid and invalid settings in `src/config/carriers_tests.rs`.
//! 3. `src/carriers/<carrier>/mod.rs`: implement [`Carrier`].
//! 4. `src/carriers/<carrier>/responses.rs`: one pure function that assesses every response of the API. Cover each
//!    documented response in the table of `responses_tests.rs`. `lookup.rs` does the same for lookups, `list.rs` asks for what a
//!    line received.
//! 5. `src/carriers/registry.rs`: construct the client in `clients`, list the carrier in `check`, and name its settings in
//!    `remedy`.
//! 6. `tests/api/carriers/<carrier>.rs`: test the requests byte for byte against a stub server
//!    (`tests/support/carrier.rs`). Add the carrier to `side_by_side.rs`, `start.rs` and `privacy.rs`, and to the fault
//!    tests in `tests/stress/faults/carriers.rs`.
//! 7. `src/carrier_webhooks/mod.rs`: follow the list there for inbound messages and delivery updates.
//! 8. `docs/carriers.md`: describe the set-up and the supported features; `docs/configuration.md`: list the settings.

mod bluebubbles;
mod carrier;
mod client;
mod conversation_queue;
mod delivery_log;
mod error;
mod instrumented;
mod registry;
mod sandbox;
mod sendblue;
mod settings;
mod typing_leases;

pub use carrier::{
    Accepted, Action, Carrier, ListRequest, ListedPage, LookupMatch, OutboundMessage, Tapback,
};
pub use conversation_queue::{ConversationQueues, QueueGuard, QueueStats, TypingTurn};
pub use delivery_log::{Delivery, DeliveryKind};
pub use error::{CarrierError, CarrierReason};
pub use registry::{CarrierRegistry, NotConfigured};
pub use sandbox::Sandbox;
pub use settings::{BreakerSettings, CarrierConfigError, CarrierSettings, Credential, Mac, SendblueSettings};
pub use typing_leases::{Begun as BegunLease, TypingLeases};

pub use crate::domain::{Thread, ThreadOwner};
