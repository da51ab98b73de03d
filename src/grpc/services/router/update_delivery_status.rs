//! `UpdateDeliveryStatus`.

use crate::app::App;
use crate::domain::{DeliveryError, DeliveryStatus, Principal};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging::inbound::{self, RawDeliveryUpdate};
use crate::proto::{UpdateDeliveryStatusRequest, UpdateDeliveryStatusResponse};
use crate::store::messages::DeliveryUpdate;

fn parse(app: &App, request: UpdateDeliveryStatusRequest) -> Result<DeliveryUpdate> {
    let mut violations = Violations::default();
    let raw = RawDeliveryUpdate {
        line_number: request.line_number,
        provider_message_id: request.provider_message_id,
        status: violations.required_enum("status", request.status, DeliveryStatus::from_wire),
        error: request.error.map(|error| DeliveryError { code: error.code, message: error.message }),
        was_downgraded: request.was_downgraded,
    };
    let update = raw.validate(&mut violations, app.clock.now());
    violations.finish(|| update)
}

pub(super) async fn update_delivery_status(
    app: &App,
    caller: &Principal,
    request: UpdateDeliveryStatusRequest,
) -> Result<UpdateDeliveryStatusResponse> {
    let update = parse(app, request)?;
    caller.require_router()?;
    let status = inbound::update_delivery_status(&app.db, update).await?;
    Ok(UpdateDeliveryStatusResponse { status: status.into() })
}
