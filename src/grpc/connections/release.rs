//! `ReleaseConnection`.

use crate::app::App;
use crate::domain::{ConnectionId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::caller::Caller as _;
use crate::grpc::request::Fields;
use crate::proto::{ReleaseConnectionRequest, ReleaseConnectionResponse};
use crate::store;

fn parse(message: &ReleaseConnectionRequest) -> Result<ConnectionId> {
    let mut fields = Fields::default();
    let id = fields.id("connection_id", &message.connection_id);
    fields.finish(|| id)
}

pub(super) async fn release(
    app: &App,
    caller: &Principal,
    message: ReleaseConnectionRequest,
) -> Result<ReleaseConnectionResponse> {
    let id = parse(&message)?;
    let tenant = caller.admin()?;
    let released = store::connections::release(&app.db, &tenant.organization_id, id, app.clock.now()).await?;
    let connection = released.ok_or(Error::NotFound(Resource::Connection))?;
    Ok(ReleaseConnectionResponse { connection: Some(connection.into()) })
}
