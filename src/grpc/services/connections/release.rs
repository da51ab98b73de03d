//! `ReleaseConnection`.

use crate::app::App;
use crate::domain::{ConnectionId, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::messaging::outbound;
use crate::proto::{ReleaseConnectionRequest, ReleaseConnectionResponse};
use crate::store;

fn parse(message: &ReleaseConnectionRequest) -> Result<ConnectionId> {
    let mut fields = Violations::default();
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
    let organization_id = tenant.organization_id.clone();
    let releasing = app.clone();
    // To the end, since it may have to wait: a caller who hangs up meanwhile wants it no less.
    let released = app
        .run_to_completion(async move {
            let clock = releasing.clock.clone();
            let now = move || clock.now();
            let longest_send = outbound::longest(releasing.limits.line_time_out);
            Ok(store::connections::release(&releasing.db, &organization_id, id, now, longest_send).await?)
        })
        .await?;
    let connection = released.ok_or(Error::NotFound(Resource::Connection))?;
    Ok(ReleaseConnectionResponse { connection: Some(connection.into()) })
}
