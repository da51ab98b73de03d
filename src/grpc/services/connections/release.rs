//! `ReleaseConnection`.

use crate::app::App;
use crate::domain::{ConnectionId, Principal};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging;
use crate::proto::{ReleaseConnectionRequest, ReleaseConnectionResponse};

fn parse(request: &ReleaseConnectionRequest) -> Result<ConnectionId> {
    let mut violations = Violations::default();
    let id = violations.id("connection_id", &request.connection_id);
    violations.finish(|| id)
}

pub(super) async fn release(
    app: &App,
    caller: &Principal,
    request: ReleaseConnectionRequest,
) -> Result<ReleaseConnectionResponse> {
    let id = parse(&request)?;
    let tenant = caller.require_admin()?;
    let connection = messaging::release(app, tenant, id).await?;
    Ok(ReleaseConnectionResponse { connection: Some(connection.into()) })
}
