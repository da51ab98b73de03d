//! `UpdateDeliveryStatus`.

use super::{ERROR_TEXT_LIMIT, PROVIDER_ID_LIMIT};
use crate::app::App;
use crate::domain::{DeliveryError, DeliveryStatus, Principal};
use crate::error::Result;
use crate::grpc::caller::Caller as _;
use crate::grpc::request::Fields;
use crate::proto::{UpdateDeliveryStatusRequest, UpdateDeliveryStatusResponse};
use crate::store::messages::{DeliveryNews, update_status};

fn parse(app: &App, message: UpdateDeliveryStatusRequest) -> Result<DeliveryNews> {
    let mut fields = Fields::default();
    let line_number = fields.phone_number("line_number", &message.line_number);
    let provider_message_id =
        fields.required_text("provider_message_id", message.provider_message_id, PROVIDER_ID_LIMIT);
    let status = fields.required_enum("status", message.status, DeliveryStatus::from_wire);
    if status == Some(DeliveryStatus::Received) {
        fields.refuse("status", "RECEIVED is for inbound messages");
    }
    let error = match message.error {
        None => Some(None),
        Some(error) => {
            let code = fields.text("error.code", error.code, ERROR_TEXT_LIMIT);
            let words = fields.text("error.message", error.message, ERROR_TEXT_LIMIT);
            code.zip(words).map(|(code, message)| Some(DeliveryError { code, message }))
        }
    };
    fields.finish(|| {
        Some(DeliveryNews {
            line_number: line_number?,
            provider_message_id: provider_message_id?,
            status: status?,
            error: error?,
            was_downgraded: message.was_downgraded,
            now: app.clock.now(),
        })
    })
}

pub(super) async fn update_delivery_status(
    app: &App,
    caller: &Principal,
    message: UpdateDeliveryStatusRequest,
) -> Result<UpdateDeliveryStatusResponse> {
    let news = parse(app, message)?;
    caller.router()?;
    let status = update_status(&app.db, news).await?;
    Ok(UpdateDeliveryStatusResponse { status: status.into() })
}
