//! `GetRouterNumber`.

use crate::app::App;
use crate::domain::Principal;
use crate::error::{Error, Resource, Result};
use crate::proto::{GetRouterNumberRequest, GetRouterNumberResponse};
use crate::store;

/// The handle in the command for admin and router keys, which have no identity.
const PLACEHOLDER_HANDLE: &str = "your-handle";

pub(super) async fn get_router_number(
    app: &App,
    caller: &Principal,
    _request: GetRouterNumberRequest,
) -> Result<GetRouterNumberResponse> {
    let number = store::lines::router_number(&app.db).await?.ok_or(Error::NotFound(Resource::Line))?;
    let handle = match caller {
        Principal::Tenant(tenant) => match tenant.identity_id {
            Some(id) => store::identities::current(&app.db, &tenant.organization_id, id).await?,
            None => None,
        },
        Principal::Router { .. } => None,
    };
    let handle = handle.map_or_else(|| PLACEHOLDER_HANDLE.to_owned(), |identity| identity.agent_handle);
    Ok(GetRouterNumberResponse {
        number: number.into_string(),
        connect_command: format!("connect @{handle}"),
    })
}
