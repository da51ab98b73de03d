//! `GetIdentity`.

use crate::app::App;
use crate::domain::{Handle, IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::proto::{GetIdentityRequest, GetIdentityResponse};
use crate::store;

enum Named {
    Id(IdentityId),
    Handle(Handle),
}

fn parse(request: &GetIdentityRequest) -> Result<Named> {
    let mut violations = Violations::default();
    let Some(handle) = &request.agent_handle else {
        let id = violations.id("identity_id", &request.identity_id);
        return violations.finish(|| id.map(Named::Id));
    };
    if !request.identity_id.is_empty() {
        for field in ["identity_id", "agent_handle"] {
            violations.add(field, "identity_id and agent_handle are mutually exclusive");
        }
    }
    let handle = Handle::parse(handle).map_err(|error| violations.add("agent_handle", error.to_string()));
    violations.finish(|| handle.ok().map(Named::Handle))
}

pub(super) async fn get(
    app: &App,
    caller: &Principal,
    request: GetIdentityRequest,
) -> Result<GetIdentityResponse> {
    let named = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let organization_id = &tenant.organization_id;
    let identity = match named {
        Named::Id(id) => {
            // For an identity key, every other identity reads as absent.
            tenant.identity_scope(Some(id)).map_err(|_| Error::NotFound(Resource::Identity))?;
            store::identities::get(&app.db, organization_id, id).await?
        }
        Named::Handle(handle) => {
            store::identities::find(&app.db, organization_id, tenant.identity_id, &handle).await?
        }
    };
    let identity = identity.ok_or(Error::NotFound(Resource::Identity))?;
    Ok(GetIdentityResponse { identity: Some(identity.into()) })
}
