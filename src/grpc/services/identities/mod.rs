//! `IdentityService`: the agents of an organization.

mod create;
mod delete;
mod get;
mod list;
mod update;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::auth::KeyCache;
use crate::grpc::wire::unary::unary;
use crate::proto::identity_service_server::IdentityService;
use crate::proto::{
    CreateIdentityRequest, CreateIdentityResponse, DeleteIdentityRequest, DeleteIdentityResponse,
    GetIdentityRequest, GetIdentityResponse, ListIdentitiesRequest, ListIdentitiesResponse,
    UpdateIdentityRequest, UpdateIdentityResponse,
};

/// Maximum length of a description, in characters.
const MAX_DESCRIPTION_CHARACTERS: usize = 1_000;

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
    pub(in crate::grpc) keys: KeyCache,
}

#[tonic::async_trait]
impl IdentityService for Service {
    async fn create_identity(
        &self,
        request: Request<CreateIdentityRequest>,
    ) -> Result<Response<CreateIdentityResponse>, Status> {
        unary(request, async |caller, request| create::create(&self.app, &caller, request).await).await
    }

    async fn get_identity(
        &self,
        request: Request<GetIdentityRequest>,
    ) -> Result<Response<GetIdentityResponse>, Status> {
        unary(request, async |caller, request| get::get(&self.app, &caller, request).await).await
    }

    async fn list_identities(
        &self,
        request: Request<ListIdentitiesRequest>,
    ) -> Result<Response<ListIdentitiesResponse>, Status> {
        unary(request, async |caller, request| list::list(&self.app, &caller, request).await).await
    }

    async fn update_identity(
        &self,
        request: Request<UpdateIdentityRequest>,
    ) -> Result<Response<UpdateIdentityResponse>, Status> {
        unary(request, async |caller, request| update::update(&self.app, &caller, request).await).await
    }

    async fn delete_identity(
        &self,
        request: Request<DeleteIdentityRequest>,
    ) -> Result<Response<DeleteIdentityResponse>, Status> {
        unary(request, async |caller, request| delete::delete(&self.app, &self.keys, &caller, request).await)
            .await
    }
}
