//! `WhoAmI`.

use crate::app::App;
use crate::domain::Principal;
use crate::error::{Error, Resource, Result};
use crate::proto::{WhoAmIRequest, WhoAmIResponse};
use crate::store;

pub(super) async fn who_am_i(
    app: &App,
    caller: &Principal,
    _request: WhoAmIRequest,
) -> Result<WhoAmIResponse> {
    let key = match caller {
        Principal::Tenant(tenant) => {
            store::api_keys::get(&app.db, &tenant.organization_id, tenant.key_id).await?
        }
        Principal::Router { key_id } => store::api_keys::get_router_key(&app.db, *key_id).await?,
    };
    let key = key.ok_or(Error::NotFound(Resource::ApiKey))?;
    Ok(WhoAmIResponse { api_key: Some(key.into()) })
}
