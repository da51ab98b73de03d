//! Webhooks of carriers: inbound messages, tapbacks and delivery updates, over HTTP on a separate listener.
//!
//! A pure function per carrier (`sendblue::parse`, `bluebubbles::parse`) reads the carrier's JSON into an `Event`;
//! `dispatch` passes it to the same use cases, and so through the same validation, as the RPCs of `RouterService`. Status
//! 2xx is sent after the commit, so that a carrier that receives no response redelivers. A redelivery changes nothing.
//!
//! # How to add a carrier
//!
//! 1. `src/carrier_webhooks/<carrier>.rs`: a pure function `parse` from JSON to `Event`. Test it in
//!    `src/carrier_webhooks/<carrier>/tests.rs` with every body that the carrier documents.
//! 2. `src/carrier_webhooks/secret.rs`: add the secret to [`Secrets`]. `src/config/webhooks.rs` reads it from a flag and
//!    a variable.
//! 3. `src/carrier_webhooks/routes.rs`: add a route that verifies the secret.
//!    `src/carrier_webhooks/listed.rs`: name the events of a record in the carrier's list.
//! 4. `src/carrier_webhooks/fuzz.rs`: add a fuzz target and its corpus, `tests/corpus/<carrier>.json`. List the target in
//!    `src/fuzzing/mod.rs`.
//! 5. `tests/api/carrier_webhooks/<carrier>.rs`: test each event end to end. Add the route to `refusals.rs` (secrets,
//!    malformed bodies).
//! 6. `docs/webhooks.md`: describe how to register the webhook; `docs/configuration.md`: list the secret.

mod bluebubbles;
mod body;
mod decode;
mod dispatch;
mod event;
#[cfg(test)]
mod fuzz;
mod json;
mod listed;
mod normalize;
mod response;
mod routes;
mod secret;
mod sendblue;
mod tapback_text;
mod updates;

pub(crate) use listed::{receive_listed, record_time};
pub use secret::{Secret, Secrets};

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::domain::CarrierKind;
use crate::net::http1::{self, AtCapacity, Http1Limits};

const LIMITS: Http1Limits = Http1Limits {
    name: "webhooks",
    // Bursts of a carrier are a few dozen.
    max_connections: 256,
    // Half of them, since all carriers may come through one proxy. Twice as many as webhooks may be in progress.
    max_connections_per_peer: 128,
    at_capacity: AtCapacity::Wait,
    // Carriers send it in one piece. Silent connections give way to others soon.
    header_timeout: Duration::from_secs(2),
    max_header_bytes: 16 << 10,
    // A webhook is one request. An idle connection would occupy one of few places.
    keep_alive: false,
    // The time of a webhook is bounded by its parts: header, body, and the use case.
    max_connection_age: None,
    // The server drops the future at the end of its drain.
    drain_timeout: None,
};

/// The webhook listener, not yet serving.
#[derive(Debug)]
pub struct Webhooks {
    listener: TcpListener,
    secrets: Secrets,
}

impl Webhooks {
    /// Webhooks on this listener, for carriers that present one of these secrets.
    #[must_use]
    pub const fn new(listener: TcpListener, secrets: Secrets) -> Self {
        Self { listener, secrets }
    }

    /// The carriers whose webhooks are served.
    pub(crate) fn carriers(&self) -> Vec<CarrierKind> {
        let Secrets { sendblue, bluebubbles, .. } = &self.secrets;
        let sendblue = sendblue.as_ref().map(|_| CarrierKind::Sendblue);
        let bluebubbles = bluebubbles.as_ref().map(|_| CarrierKind::BlueBubbles);
        sendblue.into_iter().chain(bluebubbles).collect()
    }

    /// Serves until `stop` is cancelled, then finishes the webhooks in progress. Dropping the future cancels them.
    pub(crate) async fn run(self, app: App, stop: CancellationToken) {
        http1::serve(self.listener, routes::routes(app, self.secrets), LIMITS, stop).await;
    }
}
