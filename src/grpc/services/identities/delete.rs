//! `DeleteIdentity`.

use crate::app::App;
use crate::auth::KeyCache;
use crate::domain::{IdentityId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::maintenance::delete_identity;
use crate::proto::{DeleteIdentityRequest, DeleteIdentityResponse};

fn parse(request: &DeleteIdentityRequest) -> Result<IdentityId> {
    let mut violations = Violations::default();
    let id = violations.id("identity_id", &request.identity_id);
    violations.finish(|| id)
}

pub(super) async fn delete(
    app: &App,
    keys: &KeyCache,
    caller: &Principal,
    request: DeleteIdentityRequest,
) -> Result<DeleteIdentityResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_admin()?;
    let (organization_id, acting) = (tenant.organization_id.clone(), app.db.acting(tenant.actor()));
    // It may wait for sends in progress.
    app.admission.begin_carrier_call()?;
    let (db, clock, keys) = (app.db.clone(), app.clock.clone(), keys.clone());
    app.run_to_completion(async move {
        if !delete_identity::begin(&acting, &clock, &organization_id, id).await? {
            return Err(Error::NotFound(Resource::Identity));
        }
        // Immediate in this process. Other replicas notice the new key epoch within half a second.
        keys.invalidate_all();
        delete_identity::complete(&db, &clock, &organization_id, id).await?;
        keys.invalidate_all();
        Ok(DeleteIdentityResponse {})
    })
    .await
}
