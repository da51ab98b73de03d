//! `GetRouterNumber`.

use crate::app::App;
use crate::domain::Principal;
use crate::error::{Error, Resource, Result};
use crate::proto::{GetRouterNumberRequest, GetRouterNumberResponse};
use crate::store;

/// What an admin or router key is shown in the place of a handle.
const ANY_HANDLE: &str = "your-handle";

pub(super) async fn get_router_number(
    app: &App,
    caller: &Principal,
    _message: GetRouterNumberRequest,
) -> Result<GetRouterNumberResponse> {
    let number = store::lines::router_number(&app.db).await?.ok_or(Error::NotFound(Resource::Line))?;
    let handle = match caller {
        Principal::Tenant(tenant) => match tenant.identity_id {
            Some(id) => store::identities::current(&app.db, &tenant.organization_id, id).await?,
            None => None,
        },
        Principal::Router { .. } => None,
    };
    let handle = handle.map_or_else(|| ANY_HANDLE.to_owned(), |identity| identity.agent_handle);
    Ok(GetRouterNumberResponse {
        number: number.into_string(),
        connect_command: format!("connect @{handle}"),
    })
}
