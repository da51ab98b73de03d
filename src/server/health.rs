//! The gRPC health entries that orchestrators and load balancers read.
//!
//! - `""`, `readiness` and one entry per service are `NOT_SERVING` until the database answers with the schema that this
//!   program needs, while the database is down, and from the start of a drain. Some probes need a name: `readiness` is the same
//!   as the overall entry.
//! - `liveness` is always `SERVING`: neither an unavailable database nor a drain is a reason to restart the process.
//! - `line.<carrier>` follows the carrier's circuit breaker.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::carriers::CarrierRegistry;
use crate::domain::CarrierKind;
use crate::telemetry::metrics::CarrierMetrics;

/// Whether calls should be routed to this process.
const READINESS: &str = "readiness";
/// Whether the process is alive.
const LIVENESS: &str = "liveness";

/// Sets the health entries. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    /// Whether calls should be routed to this process, for those who ask over HTTP.
    serving: watch::Sender<bool>,
    reporter: HealthReporter,
    services: &'static [&'static str],
}

impl Health {
    /// Creates the entries of the server (`""`, `readiness`) and of each service as `NOT_SERVING`, and `liveness` as
    /// `SERVING`. tonic-health on its own starts the overall entry as `SERVING`.
    pub async fn new(reporter: HealthReporter, services: &'static [&'static str]) -> Self {
        let health = Self { serving: watch::Sender::new(false), reporter, services };
        health.set(ServingStatus::NotServing).await;
        health.reporter.set_service_status(LIVENESS, ServingStatus::Serving).await;
        health
    }

    /// Whether the entry of the server is `SERVING`.
    pub(super) fn serving(&self) -> watch::Receiver<bool> {
        self.serving.subscribe()
    }

    /// Sets the entry of a carrier. It is for people: the service can serve other carriers without this one.
    async fn set_line(&self, carrier: CarrierKind, status: ServingStatus) {
        self.reporter.set_service_status(format!("line.{carrier}"), status).await;
    }

    /// Sets every entry except `liveness` and those of the carriers.
    pub async fn set(&self, status: ServingStatus) {
        self.serving.send_replace(matches!(status, ServingStatus::Serving));
        for name in self.services.iter().chain(&["", READINESS]) {
            self.reporter.set_service_status(*name, status).await;
        }
    }
}

/// Publishes the state of the circuit breakers: the entries `line.<carrier>`, `NOT_SERVING` while the breaker is open, and the
/// gauge of the same meaning.
pub async fn publish_breaker_health(
    health: Health,
    carriers: Arc<CarrierRegistry>,
    metrics: CarrierMetrics,
    stop: CancellationToken,
) {
    let mut changed = carriers.breakers_changed();
    loop {
        changed.mark_unchanged();
        for carrier in carriers.configured() {
            let is_down = carriers.breaker_is_open(carrier);
            metrics.breaker_is(carrier.name(), is_down);
            health
                .set_line(carrier, if is_down { ServingStatus::NotServing } else { ServingStatus::Serving })
                .await;
        }
        tokio::select! {
            Ok(()) = changed.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}
