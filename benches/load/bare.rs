//! Baseline server: `GetConversation` with tonic, a default sqlx pool, and a look-up of the key on each call. The scenario
//! `get-bare` shows what the design of the service costs or saves compared with it.

#![expect(clippy::disallowed_methods, reason = "a baseline without the conventions of the service")]

use std::str::FromStr as _;

use inkbox_imessage::proto::conversation_service_server::{ConversationService, ConversationServiceServer};
use inkbox_imessage::proto::{
    AssignmentStatus, Conversation, GetConversationRequest, GetConversationResponse,
    ListConversationsRequest, ListConversationsResponse, MarkConversationReadRequest,
    MarkConversationReadResponse, SendTypingIndicatorRequest, SendTypingIndicatorResponse,
    StopTypingIndicatorRequest, StopTypingIndicatorResponse,
};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use sqlx::types::chrono::{DateTime, Utc};
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::Result;

pub async fn serve(database_url: &str, address: &str) -> Result<()> {
    let pool = PgPoolOptions::new().max_connections(16).connect(database_url).await?;
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<ConversationServiceServer<Bare>>().await;
    Ok(tonic::transport::Server::builder()
        .add_service(health)
        .add_service(ConversationServiceServer::new(Bare(pool)))
        .serve(address.parse()?)
        .await?)
}

struct Bare(PgPool);

type Row = (Uuid, Uuid, String, Uuid, bool, DateTime<Utc>, DateTime<Utc>, Option<DateTime<Utc>>);

impl Bare {
    async fn get(&self, request: Request<GetConversationRequest>) -> Result<Conversation> {
        let key = request.metadata().get("x-api-key").ok_or("no key")?;
        let digest = Sha256::digest(key.as_bytes()).to_vec();
        let (organization,): (Option<String>,) =
            sqlx::query_as("SELECT organization_id FROM key_digests WHERE digest = $1")
                .bind(digest)
                .fetch_one(&self.0)
                .await?;
        let id = Uuid::from_str(&request.get_ref().conversation_id)?;
        let row: Row = sqlx::query_as(
            "SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at, updated_at,
                    opted_out_at
             FROM conversations WHERE organization_id = $1 AND id = $2",
        )
        .bind(organization)
        .bind(id)
        .fetch_one(&self.0)
        .await?;
        let time = |at: DateTime<Utc>| {
            let nanos = at.timestamp_subsec_nanos().try_into().unwrap_or_default();
            Some(prost_types::Timestamp { seconds: at.timestamp(), nanos })
        };
        let status = if row.4 { AssignmentStatus::Released } else { AssignmentStatus::Active };
        Ok(Conversation {
            id: row.0.to_string(),
            agent_identity_id: row.1.to_string(),
            remote_number: row.2,
            assignment_id: row.3.to_string(),
            assignment_status: status.into(),
            created_at: time(row.5),
            updated_at: time(row.6),
            opted_out_at: row.7.and_then(time),
        })
    }
}

#[tonic::async_trait]
impl ConversationService for Bare {
    async fn get_conversation(
        &self,
        request: Request<GetConversationRequest>,
    ) -> Result<Response<GetConversationResponse>, Status> {
        match self.get(request).await {
            Ok(conversation) => {
                Ok(Response::new(GetConversationResponse { conversation: Some(conversation) }))
            }
            Err(error) => Err(Status::internal(error.to_string())),
        }
    }

    async fn list_conversations(
        &self,
        _: Request<ListConversationsRequest>,
    ) -> Result<Response<ListConversationsResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn mark_conversation_read(
        &self,
        _: Request<MarkConversationReadRequest>,
    ) -> Result<Response<MarkConversationReadResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn send_typing_indicator(
        &self,
        _: Request<SendTypingIndicatorRequest>,
    ) -> Result<Response<SendTypingIndicatorResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }

    async fn stop_typing_indicator(
        &self,
        _: Request<StopTypingIndicatorRequest>,
    ) -> Result<Response<StopTypingIndicatorResponse>, Status> {
        Err(Status::unimplemented("not measured"))
    }
}
