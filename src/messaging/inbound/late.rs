//! What is received long after it was sent, such as after an outage.

use chrono::TimeDelta;

use super::find_route;
use crate::app::App;
use crate::domain::LineRole;
use crate::error::Result;
use crate::store::inbound::{self, InboundText};
use crate::store::router_commands;

/// Age at which a command is not executed any more: the human has tried again, or has given up.
const MAX_COMMAND_AGE: TimeDelta = TimeDelta::minutes(10);

/// Why a late text is not received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TooLate {
    /// A command that is too old, or after which the line has answered the human: what they said then counts.
    Command,
    /// The text is from before the human's connection: it was not meant for this agent.
    BeforeConnection,
}

/// Whether a late text may still be received; `None` if it may.
///
/// # Errors
/// `NotFound` when there is no line with this number.
pub async fn is_too_late(app: &App, text: &InboundText) -> Result<Option<TooLate>> {
    let (route, number) =
        find_route(app, &text.line_number, &text.remote_number, &text.provider_message_id).await?;
    if route.role == LineRole::Router {
        let is_old = app.clock.now() - text.sent_at >= MAX_COMMAND_AGE
            || router_commands::has_later_reply(&app.db, &text.line_number, &number, text.sent_at).await?;
        return Ok(is_old.then_some(TooLate::Command));
    }
    let Some(to) = route.to else { return Ok(None) };
    let connected_at = inbound::connected_at(&app.db, &to).await?;
    Ok(connected_at.is_some_and(|at| text.sent_at < at).then_some(TooLate::BeforeConnection))
}
