//! `ConnectionService`: who is connected to whom.

mod list;
mod release;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::grpc::wire::unary::unary;
use crate::proto::connection_service_server::ConnectionService;
use crate::proto::{
    ListConnectionsRequest, ListConnectionsResponse, ReleaseConnectionRequest, ReleaseConnectionResponse,
};

/// The service.
pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
}

#[tonic::async_trait]
impl ConnectionService for Service {
    async fn list_connections(
        &self,
        request: Request<ListConnectionsRequest>,
    ) -> Result<Response<ListConnectionsResponse>, Status> {
        unary(request, async |caller, message| list::list(&self.app, &caller, message).await).await
    }

    async fn release_connection(
        &self,
        request: Request<ReleaseConnectionRequest>,
    ) -> Result<Response<ReleaseConnectionResponse>, Status> {
        unary(request, async |caller, message| release::release(&self.app, &caller, message).await).await
    }
}
