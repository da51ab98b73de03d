//! `ListDeliveries`.

use crate::app::App;
use crate::domain::{ConversationId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::proto::{ListDeliveriesRequest, ListDeliveriesResponse};
use crate::store;

fn parse(request: &ListDeliveriesRequest) -> Result<Option<ConversationId>> {
    let mut violations = Violations::default();
    let id = violations.optional_id("conversation_id", request.conversation_id.as_deref());
    violations.finish(|| id)
}

pub(super) async fn list_deliveries(
    app: &App,
    caller: &Principal,
    request: ListDeliveriesRequest,
) -> Result<ListDeliveriesResponse> {
    let conversation_id = parse(&request)?;
    let tenant = caller.require_admin()?;
    if let Some(id) = conversation_id
        && !store::conversations::exists(&app.db, &tenant.organization_id, id).await?
    {
        return Err(Error::NotFound(Resource::Conversation));
    }
    let deliveries = app.carriers.sandbox().deliveries(&tenant.organization_id, conversation_id);
    Ok(ListDeliveriesResponse { deliveries: deliveries.into_iter().map(Into::into).collect() })
}
