//! `MarkConversationRead`.

use crate::app::App;
use crate::carriers::Action;
use crate::domain::{ConversationId, OrganizationId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{MarkConversationReadRequest, MarkConversationReadResponse};
use crate::store;
use crate::store::conversations::ContactTarget;

fn parse(message: &MarkConversationReadRequest) -> Result<ConversationId> {
    let mut fields = Violations::default();
    let id = fields.id("conversation_id", &message.conversation_id);
    fields.finish(|| id)
}

pub(super) async fn mark_read(
    app: &App,
    caller: &Principal,
    message: MarkConversationReadRequest,
) -> Result<MarkConversationReadResponse> {
    let id = parse(&message)?;
    let tenant = caller.tenant()?;
    let target = store::conversations::target(&app.db, &tenant.organization_id, tenant.identity_id, id)
        .await?
        .ok_or(Error::NotFound(Resource::Conversation))?;
    target.eligibility.check()?;
    let marking = send_and_mark(app.clone(), tenant.organization_id.clone(), target);
    Ok(MarkConversationReadResponse {
        conversation_id: message.conversation_id,
        updated_count: app.run_to_completion(marking).await?,
    })
}

/// The receipt, and then what it said: once the line has it, the marking happens even if the caller has gone.
async fn send_and_mark(app: App, organization_id: OrganizationId, target: ContactTarget) -> Result<i32> {
    let carrier = app.carriers.for_line(&target.line_number).await?;
    carrier.perform(&target.thread(&organization_id), Action::ReadReceipt).await?;
    // As far as the messages went when the call began: one that arrived meanwhile was not seen by the caller.
    let marked = store::conversations::mark_read(
        &app.db,
        &organization_id,
        target.conversation_id,
        target.eligibility.connection_id,
        target.received_count,
    )
    .await?;
    marked.ok_or(Error::ConnectionReleased)
}
