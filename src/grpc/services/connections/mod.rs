//! `ConnectionService`: listing and releasing connections.

mod list;
mod release;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::grpc::wire::unary::unary;
use crate::proto::connection_service_server::ConnectionService;
use crate::proto::{
    ListConnectionsRequest, ListConnectionsResponse, ReleaseConnectionRequest, ReleaseConnectionResponse,
};

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
}

#[tonic::async_trait]
impl ConnectionService for Service {
    async fn list_connections(
        &self,
        request: Request<ListConnectionsRequest>,
    ) -> Result<Response<ListConnectionsResponse>, Status> {
        unary(request, async |caller, request| list::list(&self.app, &caller, request).await).await
    }

    async fn release_connection(
        &self,
        request: Request<ReleaseConnectionRequest>,
    ) -> Result<Response<ReleaseConnectionResponse>, Status> {
        unary(request, async |caller, request| release::release(&self.app, &caller, request).await).await
    }
}
