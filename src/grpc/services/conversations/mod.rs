//! `ConversationService`: listing and reading conversations, and what the human sees of it.

mod get;
mod list;
mod mark_read;
mod send_typing;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::grpc::wire::unary::unary;
use crate::proto::conversation_service_server::ConversationService;
use crate::proto::{
    GetConversationRequest, GetConversationResponse, ListConversationsRequest, ListConversationsResponse,
    MarkConversationReadRequest, MarkConversationReadResponse, SendTypingIndicatorRequest,
    SendTypingIndicatorResponse,
};

/// The service.
pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
}

#[tonic::async_trait]
impl ConversationService for Service {
    async fn list_conversations(
        &self,
        request: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        unary(request, async |caller, message| list::list(&self.app, &caller, message).await).await
    }

    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        unary(request, async |caller, message| get::get(&self.app, &caller, message).await).await
    }

    async fn mark_conversation_read(
        &self,
        request: Request<MarkConversationReadRequest>,
    ) -> Result<Response<MarkConversationReadResponse>, Status> {
        unary(request, async |caller, message| mark_read::mark_read(&self.app, &caller, message).await).await
    }

    async fn send_typing_indicator(
        &self,
        request: Request<SendTypingIndicatorRequest>,
    ) -> Result<Response<SendTypingIndicatorResponse>, Status> {
        unary(request, async |caller, message| send_typing::send_typing(&self.app, &caller, message).await)
            .await
    }
}
