//! Releasing a connection.

use crate::app::App;
use crate::domain::{Connection, ConnectionId, Tenant};
use crate::error::{Error, Resource, Result};
use crate::messaging::outbound::max_send_duration;
use crate::store::connections;

/// Ends an active connection. Waits for sends in progress and is completed even if the caller disconnects.
///
/// # Errors
/// `NotFound` when the organization has no such active connection; `Overloaded`.
pub async fn release(app: &App, tenant: &Tenant, id: ConnectionId) -> Result<Connection> {
    app.admission.begin_carrier_call()?;
    let (db, clock) = (app.db.acting(tenant.actor()), app.clock.clone());
    let organization_id = tenant.organization_id.clone();
    let max_send = max_send_duration(app.limits.line_time_out);
    let releasing = async move {
        let now = move || clock.now();
        Ok(connections::release(&db, &organization_id, id, now, max_send).await?)
    };
    app.run_to_completion(releasing).await?.ok_or(Error::NotFound(Resource::Connection))
}
