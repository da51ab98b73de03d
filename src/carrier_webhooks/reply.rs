//! Answers of the router line, through the line that was texted.

use crate::app::App;
use crate::carriers::{Action, OutboundMessage, Thread};
use crate::domain::PhoneNumber;
use crate::error::{Error, Result};

/// Sends an answer. What it answers is committed, and a redelivery of it is not answered again: so a failure is logged,
/// not told to the carrier, and the human, who sees no answer, texts again. Bounded by the line's time-out.
pub(super) async fn send(app: &App, line_number: &PhoneNumber, remote_number: &PhoneNumber, text: &str) {
    if let Err(error) = try_send(app, line_number, remote_number, text).await {
        tracing::warn!(error = %error, "an answer of the router line was not sent");
    }
}

async fn try_send(
    app: &App,
    line_number: &PhoneNumber,
    remote_number: &PhoneNumber,
    text: &str,
) -> Result<()> {
    let line = app.carriers.for_line(line_number).await?;
    let thread =
        Thread { owner: None, line_number: line_number.clone(), remote_number: remote_number.clone() };
    let id = app.clock.new_id().into();
    let message = OutboundMessage { id, text: Some(text), media_url: None, style: None, at: app.clock.now() };
    line.perform(&thread, Action::Message(message)).await.map_err(Error::from)?;
    Ok(())
}
