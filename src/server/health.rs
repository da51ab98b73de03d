//! The gRPC health entries that orchestrators and load balancers read.
//!
//! - `""`, `readiness` and one entry per service are `NOT_SERVING` until the database answers with the schema that this
//!   program needs, while the database is down, and from the start of a drain. Some probes need a name: `readiness` is the same
//!   as the overall entry.
//! - `liveness` is always `SERVING`: neither an unavailable database nor a drain is a reason to restart the process.
//! - `line.<carrier>` follows the carrier's circuit breaker.

//!
//! The service is our own, because that of tonic-health ends a watch of an unknown name with `NOT_FOUND`. The protocol
//! (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>) asks for `SERVICE_UNKNOWN` on a stream that stays
//! open: clients take the end of a watch for a fault and begin another one.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, Stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
pub use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

use crate::carriers::CarrierRegistry;
use crate::domain::CarrierKind;
use crate::error::{Error, Resource};
use crate::grpc::wire::extensions::RequestId;
use crate::grpc::wire::status;
use crate::telemetry::metrics::CarrierMetrics;

/// Whether calls should be routed to this process.
const READINESS: &str = "readiness";
/// Whether the process is alive.
const LIVENESS: &str = "liveness";

/// The status of each entry by name.
type Entries = BTreeMap<String, ServingStatus>;

/// Sets the health entries. Cheap to clone.
#[derive(Clone)]
pub struct Health {
    /// Whether calls should be routed to this process, for those who ask over HTTP.
    serving: watch::Sender<bool>,
    /// Watches wait for changes of any entry: there are few, and they change together.
    entries: watch::Sender<Entries>,
    services: &'static [&'static str],
}

impl Health {
    /// Creates the entries of the server (`""`, `readiness`) and of each service as `NOT_SERVING`, and `liveness` as
    /// `SERVING`.
    #[must_use]
    pub fn new(services: &'static [&'static str]) -> Self {
        let entries = Entries::from([(LIVENESS.to_owned(), ServingStatus::Serving)]);
        let health =
            Self { serving: watch::Sender::new(false), entries: watch::Sender::new(entries), services };
        health.set(ServingStatus::NotServing);
        health
    }

    /// The gRPC service that reports the entries.
    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService { entries: self.entries.subscribe() })
    }

    /// Whether the entry of the server is `SERVING`.
    pub(super) fn serving(&self) -> watch::Receiver<bool> {
        self.serving.subscribe()
    }

    /// Sets the entry of a carrier. It is for people: the service can serve other carriers without this one.
    fn set_line(&self, carrier: CarrierKind, status: ServingStatus) {
        self.entries.send_modify(|entries| {
            entries.insert(format!("line.{carrier}"), status);
        });
    }

    /// Sets every entry except `liveness` and those of the carriers.
    pub fn set(&self, status: ServingStatus) {
        self.serving.send_replace(status == ServingStatus::Serving);
        self.entries.send_modify(|entries| {
            for name in self.services.iter().chain(&["", READINESS]) {
                entries.insert((*name).to_owned(), status);
            }
        });
    }
}

/// Reports the entries.
pub(super) struct HealthService {
    entries: watch::Receiver<Entries>,
}

#[tonic::async_trait]
impl health_server::Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = self.entries.borrow().get(&request.get_ref().service).copied();
        match status {
            Some(status) => Ok(Response::new(HealthCheckResponse { status: status.into() })),
            None => {
                let request_id = request.extensions().get::<RequestId>();
                let request_id = request_id.map(RequestId::as_str).unwrap_or_default();
                Err(status::from_error(&Error::NotFound(Resource::Service), request_id))
            }
        }
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watch =
            Watch { name: request.into_inner().service, entries: self.entries.clone(), reported: None };
        Ok(Response::new(Box::pin(stream::unfold(watch, Watch::next))))
    }
}

/// A watch of one entry. `middleware::open_services` bounds the number of watches and the length of their names.
struct Watch {
    name: String,
    entries: watch::Receiver<Entries>,
    reported: Option<ServingStatus>,
}

impl Watch {
    /// The next status that differs from the one reported last. The stream ends when there are no more changes.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        loop {
            let status = self.entries.borrow_and_update().get(&self.name).copied();
            let status = status.unwrap_or(ServingStatus::ServiceUnknown);
            if self.reported != Some(status) {
                self.reported = Some(status);
                return Some((Ok(HealthCheckResponse { status: status.into() }), self));
            }
            self.entries.changed().await.ok()?;
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
                .set_line(carrier, if is_down { ServingStatus::NotServing } else { ServingStatus::Serving });
        }
        tokio::select! {
            Ok(()) = changed.changed() => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt as _;
    use tonic::Request;
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_server::Health as _;

    use super::{Health, HealthService, ServingStatus};
    use crate::domain::CarrierKind;

    #[tokio::test]
    async fn a_watch_of_an_unknown_entry_reports_when_it_becomes_known_and_each_change_once() {
        let health = Health::new(&[]);
        let service = HealthService { entries: health.entries.subscribe() };
        let request = HealthCheckRequest { service: "line.sandbox".to_owned() };
        let mut watch = service.watch(Request::new(request)).await.unwrap().into_inner();
        let mut next = async || watch.next().await.unwrap().unwrap().status();
        assert_eq!(next().await, ServingStatus::ServiceUnknown);
        health.set(ServingStatus::Serving);
        health.set_line(CarrierKind::Sandbox, ServingStatus::Serving);
        assert_eq!(next().await, ServingStatus::Serving);
        health.set_line(CarrierKind::Sandbox, ServingStatus::Serving);
        health.set_line(CarrierKind::Sandbox, ServingStatus::NotServing);
        assert_eq!(next().await, ServingStatus::NotServing);
        drop(health);
        assert!(watch.next().await.is_none());
    }
}
