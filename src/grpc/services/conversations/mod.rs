//! `ConversationService`: listing and reading conversations, read receipts and typing indicators.

mod get;
mod list;
mod mark_read;
mod send_typing;
mod stop_typing;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::grpc::wire::unary::unary;
use crate::proto::conversation_service_server::ConversationService;
use crate::proto::{
    GetConversationRequest, GetConversationResponse, ListConversationsRequest, ListConversationsResponse,
    MarkConversationReadRequest, MarkConversationReadResponse, SendTypingIndicatorRequest,
    SendTypingIndicatorResponse, StopTypingIndicatorRequest, StopTypingIndicatorResponse,
};

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
}

#[tonic::async_trait]
impl ConversationService for Service {
    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        unary(request, async |caller, request| list::list(&self.app, &caller, request).await).await
    }

    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        unary(request, async |caller, request| get::get(&self.app, &caller, request).await).await
    }

    async fn mark_conversation_read(
        &self,
        request: Request<MarkConversationReadRequest>,
    ) -> Result<Response<MarkConversationReadResponse>, Status> {
        unary(request, async |caller, request| mark_read::mark_read(&self.app, &caller, request).await).await
    }

    async fn send_typing_indicator(
        &self,
        request: Request<SendTypingIndicatorRequest>,
    ) -> Result<Response<SendTypingIndicatorResponse>, Status> {
        unary(request, async |caller, request| send_typing::send_typing(&self.app, &caller, request).await)
            .await
    }

    async fn stop_typing_indicator(
        &self,
        request: Request<StopTypingIndicatorRequest>,
    ) -> Result<Response<StopTypingIndicatorResponse>, Status> {
        unary(request, async |caller, request| stop_typing::stop_typing(&self.app, &caller, request).await)
            .await
    }
}
