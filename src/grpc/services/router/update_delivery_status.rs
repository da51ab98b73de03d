//! `UpdateDeliveryStatus`.

use crate::app::App;
use crate::domain::{DeliveryError, DeliveryStatus, Principal};
use crate::error::{Error, Resource, Result};
use crate::grpc::wire::request::Violations;
use crate::grpc::wire::scope::Caller as _;
use crate::messaging::inbound::RawDeliveryUpdate;
use crate::proto::{UpdateDeliveryStatusRequest, UpdateDeliveryStatusResponse};
use crate::store::messages::{DeliveryUpdate, StatusUpdate, update_status};

fn parse(app: &App, message: UpdateDeliveryStatusRequest) -> Result<DeliveryUpdate> {
    let mut fields = Violations::default();
    let given = RawDeliveryUpdate {
        line_number: message.line_number,
        provider_message_id: message.provider_message_id,
        status: fields.required_enum("status", message.status, DeliveryStatus::from_wire),
        error: message.error.map(|error| DeliveryError { code: error.code, message: error.message }),
        was_downgraded: message.was_downgraded,
    };
    let news = given.check(&mut fields, app.clock.now());
    fields.finish(|| news)
}

pub(super) async fn update_delivery_status(
    app: &App,
    caller: &Principal,
    message: UpdateDeliveryStatusRequest,
) -> Result<UpdateDeliveryStatusResponse> {
    let news = parse(app, message)?;
    caller.router()?;
    let status = match update_status(&app.db, news).await? {
        StatusUpdate::Status(status) => status,
        StatusUpdate::UnknownLine => return Err(Error::NotFound(Resource::Line)),
        StatusUpdate::UnknownMessage => return Err(Error::NotFound(Resource::Message)),
    };
    Ok(UpdateDeliveryStatusResponse { status: status.into() })
}
