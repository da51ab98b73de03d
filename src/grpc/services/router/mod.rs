//! `RouterService`: what carriers deliver.

mod get_router_number;
mod receive_message;
mod receive_reaction;
mod update_delivery_status;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::grpc::wire::unary::unary;
use crate::proto::router_service_server::RouterService;
use crate::proto::{
    GetRouterNumberRequest, GetRouterNumberResponse, ReceiveMessageRequest, ReceiveMessageResponse,
    ReceiveReactionRequest, ReceiveReactionResponse, UpdateDeliveryStatusRequest,
    UpdateDeliveryStatusResponse,
};

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
}

#[tonic::async_trait]
impl RouterService for Service {
    async fn receive_message(
        &self,
        request: Request<ReceiveMessageRequest>,
    ) -> Result<Response<ReceiveMessageResponse>, Status> {
        unary(request, async |caller, request| {
            receive_message::receive_message(&self.app, &caller, request).await
        })
        .await
    }

    async fn receive_reaction(
        &self,
        request: Request<ReceiveReactionRequest>,
    ) -> Result<Response<ReceiveReactionResponse>, Status> {
        unary(request, async |caller, request| {
            receive_reaction::receive_reaction(&self.app, &caller, request).await
        })
        .await
    }

    async fn update_delivery_status(
        &self,
        request: Request<UpdateDeliveryStatusRequest>,
    ) -> Result<Response<UpdateDeliveryStatusResponse>, Status> {
        unary(request, async |caller, request| {
            update_delivery_status::update_delivery_status(&self.app, &caller, request).await
        })
        .await
    }

    async fn get_router_number(
        &self,
        request: Request<GetRouterNumberRequest>,
    ) -> Result<Response<GetRouterNumberResponse>, Status> {
        unary(request, async |caller, request| {
            get_router_number::get_router_number(&self.app, &caller, request).await
        })
        .await
    }
}
