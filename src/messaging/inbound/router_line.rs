//! Texts to the router line: commands.

use super::TextOutcome;
use crate::app::App;
use crate::domain::RouterCommand;
use crate::error::Result;
use crate::messaging::outbound::max_send_duration;
use crate::store::inbound::InboundText;
use crate::store::router_commands::{self, CommandOutcome, CommandRequest};

/// The same reply for unknown, disabled, blocked and unconnected handles, so that it does not reveal which handles exist.
const REFUSED: &str = "Sorry, that agent cannot be reached. Please check the handle and try again.";
const NO_FREE_LINE: &str =
    "Sorry, no line is free for you right now. Disconnect from an agent or try again later.";
const HELP: &str = "Text \"connect @handle\" to talk to an agent, \"disconnect @handle\" to stop, \"list\" to see \
                    whom you are connected to.";
const NOT_CONNECTED: &str = "You are not connected to any agent. Text \"connect @handle\" to start.";

/// Executes the command in a text to the router line. A command that has begun is completed even if the caller
/// disconnects: a `disconnect` that waits for a send must not leave the connection half closed.
pub(super) async fn run(app: &App, text: &InboundText) -> Result<TextOutcome> {
    let (with, text) = (app.clone(), text.clone());
    app.run_to_completion(async move { execute(&with, &text).await }).await
}

async fn execute(app: &App, text: &InboundText) -> Result<TextOutcome> {
    let request = CommandRequest {
        command: RouterCommand::parse(text.text.as_deref().unwrap_or_default()),
        line_number: text.line_number.clone(),
        remote_number: text.remote_number.clone(),
        provider_message_id: text.provider_message_id.clone(),
        new_connection_id: app.clock.new_id().into(),
        longest_send: max_send_duration(app.limits.line_time_out),
        now: app.clock.now(),
    };
    Ok(match router_commands::execute(&app.db, request).await? {
        CommandOutcome::Connected { connection_id, line_number, handle } => TextOutcome::Connected {
            connection_id,
            line_number,
            reply: format!("You are connected to @{handle}. Say hello in the new thread."),
        },
        CommandOutcome::Disconnected { connection_id, handle } => TextOutcome::Disconnected {
            connection_id,
            reply: format!("You are no longer connected to @{handle}."),
        },
        CommandOutcome::Refused => TextOutcome::Refused { reply: REFUSED.to_owned() },
        CommandOutcome::NoFreeLine => {
            tracing::warn!("no pool line is free for a connection: add one with `inkbox-imessage line add`");
            TextOutcome::Refused { reply: NO_FREE_LINE.to_owned() }
        }
        CommandOutcome::Listed(handles) if handles.is_empty() => {
            TextOutcome::Help { reply: NOT_CONNECTED.to_owned() }
        }
        CommandOutcome::Listed(handles) => {
            TextOutcome::Help { reply: format!("You are connected to: @{}.", handles.join(", @")) }
        }
        CommandOutcome::Help => TextOutcome::Help { reply: HELP.to_owned() },
        CommandOutcome::Duplicate { connection_id } => TextOutcome::DuplicateCommand { connection_id },
    })
}
