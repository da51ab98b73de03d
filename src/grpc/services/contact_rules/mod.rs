//! `ContactRuleService`: rules that allow or block numbers for an identity.

mod create;
mod delete;
mod get;
mod list;
mod update;

use tonic::{Request, Response, Status};

use crate::app::App;
use crate::grpc::wire::unary::unary;
use crate::proto::contact_rule_service_server::ContactRuleService;
use crate::proto::{
    CreateContactRuleRequest, CreateContactRuleResponse, DeleteContactRuleRequest, DeleteContactRuleResponse,
    GetContactRuleRequest, GetContactRuleResponse, ListContactRulesRequest, ListContactRulesResponse,
    UpdateContactRuleRequest, UpdateContactRuleResponse,
};

pub(in crate::grpc) struct Service {
    pub(in crate::grpc) app: App,
}

#[tonic::async_trait]
impl ContactRuleService for Service {
    async fn list_contact_rules(
        &self,
        request: Request<ListContactRulesRequest>,
    ) -> Result<Response<ListContactRulesResponse>, Status> {
        unary(request, async |caller, request| list::list(&self.app, &caller, request).await).await
    }

    async fn get_contact_rule(
        &self,
        request: Request<GetContactRuleRequest>,
    ) -> Result<Response<GetContactRuleResponse>, Status> {
        unary(request, async |caller, request| get::get(&self.app, &caller, request).await).await
    }

    async fn create_contact_rule(
        &self,
        request: Request<CreateContactRuleRequest>,
    ) -> Result<Response<CreateContactRuleResponse>, Status> {
        unary(request, async |caller, request| create::create(&self.app, &caller, request).await).await
    }

    async fn update_contact_rule(
        &self,
        request: Request<UpdateContactRuleRequest>,
    ) -> Result<Response<UpdateContactRuleResponse>, Status> {
        unary(request, async |caller, request| update::update(&self.app, &caller, request).await).await
    }

    async fn delete_contact_rule(
        &self,
        request: Request<DeleteContactRuleRequest>,
    ) -> Result<Response<DeleteContactRuleResponse>, Status> {
        unary(request, async |caller, request| delete::delete(&self.app, &caller, request).await).await
    }
}
