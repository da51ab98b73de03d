//! `EventService`: the event log as a stream and in pages.

mod convert;
mod list;
mod params;
mod revocation;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::admission::CallPermit;
use crate::app::App;
use crate::auth::KeyCache;
use crate::grpc::middleware::timeout::effective_timeout;
use crate::grpc::wire::unary::{streamed, unary};
use crate::net::Activity;
use crate::proto::event_service_server::EventService;
use crate::proto::{ListEventsRequest, ListEventsResponse, WatchEventsRequest, WatchEventsResponse};

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
    pub(in crate::grpc) keys: KeyCache,
}

#[tonic::async_trait]
impl EventService for Service {
    type WatchEventsStream = BoxStream<'static, Result<WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let closing = closing(&request);
        let revocation = revocation::Revocation::of(&self.keys, request.metadata().as_ref());
        let call = request.extensions().get::<Arc<CallPermit>>().cloned();
        streamed(request, async |caller, request| {
            watch::watch(&self.app, &caller, request, revocation, call, closing).await
        })
        .await
    }

    async fn list_events(
        &self,
        request: Request<ListEventsRequest>,
    ) -> Result<Response<ListEventsResponse>, Status> {
        let closing = closing(&request);
        let timeout = effective_timeout(request.metadata().as_ref(), Duration::MAX);
        unary(request, async |caller, request| {
            list::list(&self.app, &caller, request, timeout, closing).await
        })
        .await
    }
}

/// Cancelled when calls that wait must end.
fn closing<T>(request: &Request<T>) -> CancellationToken {
    let connection = request.extensions().get::<Arc<Activity>>();
    connection.map(|connection| connection.closing().clone()).unwrap_or_default()
}
