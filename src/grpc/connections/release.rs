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
    let organization_id = tenant.organization_id.clone();
    let conversation_id = store::connections::conversation_of(&app.db, &organization_id, id).await?;
    let releasing = app.clone();
    let released = app
        .to_the_end(async move {
            // After the sends that began before it: none of them is still on its way when the release is seen.
            let _lane = match conversation_id {
                Some(conversation_id) => Some(releasing.lanes.enter(&organization_id, conversation_id).await),
                None => None,
            };
            let now = releasing.clock.now();
            Ok(store::connections::release(&releasing.db, &organization_id, id, now).await?)
        })
        .await?;
    let connection = released.ok_or(Error::NotFound(Resource::Connection))?;
    Ok(ReleaseConnectionResponse { connection: Some(connection.into()) })
}
