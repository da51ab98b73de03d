//! `MessageService`: reading and sending messages and reactions.

mod get;
mod list;
mod remove_reaction;
mod send;
mod send_reaction;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::grpc::wire::unary::unary;
use crate::proto::message_service_server::MessageService;
use crate::proto::{
    GetMessageRequest, GetMessageResponse, ListMessagesRequest, ListMessagesResponse, RemoveReactionRequest,
    RemoveReactionResponse, SendMessageRequest, SendMessageResponse, SendReactionRequest,
    SendReactionResponse,
};

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
}

#[tonic::async_trait]
impl MessageService for Service {
    async fn list_messages(
        &self,
        request: Request<ListMessagesRequest>,
    ) -> Result<Response<ListMessagesResponse>, Status> {
        unary(request, async |caller, request| list::list(&self.app, &caller, request).await).await
    }

    async fn get_message(
        &self,
        request: Request<GetMessageRequest>,
    ) -> Result<Response<GetMessageResponse>, Status> {
        unary(request, async |caller, request| get::get(&self.app, &caller, request).await).await
    }

    async fn send_message(
        &self,
        request: Request<SendMessageRequest>,
    ) -> Result<Response<SendMessageResponse>, Status> {
        unary(request, async |caller, request| send::send(&self.app, &caller, request).await).await
    }

    async fn send_reaction(
        &self,
        request: Request<SendReactionRequest>,
    ) -> Result<Response<SendReactionResponse>, Status> {
        unary(request, async |caller, request| {
            send_reaction::send_reaction(&self.app, &caller, request).await
        })
        .await
    }

    async fn remove_reaction(
        &self,
        request: Request<RemoveReactionRequest>,
    ) -> Result<Response<RemoveReactionResponse>, Status> {
        unary(request, async |caller, request| {
            remove_reaction::remove_reaction(&self.app, &caller, request).await
        })
        .await
    }
}
