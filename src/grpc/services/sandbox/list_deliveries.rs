//! `ListDeliveries`.

use crate::app::App;
use crate::domain::{ConversationId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::proto::{ListDeliveriesRequest, ListDeliveriesResponse};
use crate::store;

fn parse(message: &ListDeliveriesRequest) -> Result<Option<ConversationId>> {
    let mut fields = Violations::default();
    let id = fields.optional_id("conversation_id", message.conversation_id.as_deref());
    fields.finish(|| id)
}

pub(super) async fn list_deliveries(
    app: &App,
    caller: &Principal,
    message: ListDeliveriesRequest,
) -> Result<ListDeliveriesResponse> {
    let conversation_id = parse(&message)?;
    let tenant = caller.admin()?;
    if let Some(id) = conversation_id
        && !store::conversations::exists(&app.db, &tenant.organization_id, id).await?
    {
        return Err(Error::NotFound(Resource::Conversation));
    }
    let deliveries = app.carriers.sandbox().deliveries(&tenant.organization_id, conversation_id);
    Ok(ListDeliveriesResponse { deliveries: deliveries.into_iter().map(Into::into).collect() })
}
