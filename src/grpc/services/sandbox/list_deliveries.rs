//! `ListDeliveries`.

use crate::app::App;
use crate::domain::{ConversationId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::page_token::{ListBinding, RequestedPage};
use crate::grpc::wire::request::{PageLimit, Violations};
use crate::proto::{ListDeliveriesRequest, ListDeliveriesResponse};
use crate::store;

/// Clients that do not know pages get as many as before there were pages.
const LIMIT: PageLimit = PageLimit { default: 1_000, max: 1_000 };

fn parse(request: &ListDeliveriesRequest) -> Result<(Option<ConversationId>, RequestedPage)> {
    let mut violations = Violations::default();
    let id = violations.optional_id("conversation_id", request.conversation_id.as_deref());
    let page = violations.page_of(LIMIT, request.limit, request.offset, &request.page_token);
    violations.finish(|| Some((id?, page?)))
}

pub(super) async fn list_deliveries(
    app: &App,
    caller: &Principal,
    request: ListDeliveriesRequest,
) -> Result<ListDeliveriesResponse> {
    let (conversation_id, page) = parse(&request)?;
    let tenant = caller.require_admin()?;
    let filter = conversation_id.map(|id| id.to_string()).unwrap_or_default();
    let binding = ListBinding::new("ListDeliveries", &tenant.organization_id, None, &filter);
    let page = binding.start_of(&page)?;
    if let Some(id) = conversation_id
        && !store::conversations::exists(&app.db, &tenant.organization_id, id).await?
    {
        return Err(Error::NotFound(Resource::Conversation));
    }
    let page = app.carriers.sandbox().deliveries(&tenant.organization_id, conversation_id, &page);
    Ok(ListDeliveriesResponse {
        next_page_token: binding.next_token(&page),
        deliveries: page.rows.into_iter().map(Into::into).collect(),
    })
}
