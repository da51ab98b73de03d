//! `SandboxService`: the deliveries of the sandbox carrier.

mod list_deliveries;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::grpc::wire::unary::unary;
use crate::proto::sandbox_service_server::SandboxService;
use crate::proto::{ListDeliveriesRequest, ListDeliveriesResponse};

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
}

#[tonic::async_trait]
impl SandboxService for Service {
    async fn list_deliveries(
        &self,
        request: Request<ListDeliveriesRequest>,
    ) -> Result<Response<ListDeliveriesResponse>, Status> {
        unary(request, async |caller, request| {
            list_deliveries::list_deliveries(&self.app, &caller, request).await
        })
        .await
    }
}
