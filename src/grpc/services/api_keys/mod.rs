//! `ApiKeyService`: the API keys of an organization.

mod create;
mod list;
mod revoke;
mod who_am_i;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::auth::KeyCache;
use crate::grpc::wire::unary::unary;
use crate::proto::api_key_service_server::ApiKeyService;
use crate::proto::{
    CreateApiKeyRequest, CreateApiKeyResponse, ListApiKeysRequest, ListApiKeysResponse, RevokeApiKeyRequest,
    RevokeApiKeyResponse, WhoAmIRequest, WhoAmIResponse,
};

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
    pub(in crate::grpc) keys: KeyCache,
}

#[tonic::async_trait]
impl ApiKeyService for Service {
    async fn create_api_key(
        &self,
        request: Request<CreateApiKeyRequest>,
    ) -> Result<Response<CreateApiKeyResponse>, Status> {
        unary(request, async |caller, request| create::create(&self.app, &caller, request).await).await
    }

    async fn list_api_keys(
        &self,
        request: Request<ListApiKeysRequest>,
    ) -> Result<Response<ListApiKeysResponse>, Status> {
        unary(request, async |caller, request| list::list(&self.app, &caller, request).await).await
    }

    async fn revoke_api_key(
        &self,
        request: Request<RevokeApiKeyRequest>,
    ) -> Result<Response<RevokeApiKeyResponse>, Status> {
        unary(request, async |caller, request| revoke::revoke(&self.app, &self.keys, &caller, request).await)
            .await
    }

    async fn who_am_i(&self, request: Request<WhoAmIRequest>) -> Result<Response<WhoAmIResponse>, Status> {
        unary(request, async |caller, request| who_am_i::who_am_i(&self.app, &caller, request).await).await
    }
}
