//! Sends the router line's replies to commands.

use crate::app::App;
use crate::carriers::{Action, OutboundMessage, Thread};
use crate::error::{Error, Result};

/// Sends a reply from the line that received the command. The command is committed and its redelivery gets no reply, so
/// a failure is logged and not reported to the carrier. A human who receives no reply sends the command again. Takes the
/// carrier call timeout at most.
pub(super) async fn send(app: &App, thread: &Thread, text: &str) {
    if let Err(error) = try_send(app, thread, text).await {
        tracing::warn!(error = %error, "reply of the router line was not sent");
    }
}

async fn try_send(app: &App, thread: &Thread, text: &str) -> Result<()> {
    let carrier = app.carriers.for_line(&thread.line_number).await?;
    let id = app.clock.new_id().into();
    let message = OutboundMessage {
        id,
        text: Some(text),
        media_url: None,
        style: None,
        reply_to: None,
        at: app.clock.now(),
    };
    carrier.perform(thread, Action::Message(message)).await.map_err(Error::from)?;
    Ok(())
}
