//! Texts to the router line: commands.

use super::{Replies, TextOutcome};
use crate::app::App;
use crate::domain::RouterCommand;
use crate::error::Result;
use crate::messaging::outbound::max_send_duration;
use crate::store::inbound::InboundText;
use crate::store::router_commands::{self, CommandOutcome, CommandRequest, NewReply, ReplyBy};

/// The same reply for unknown, disabled, blocked and unconnected handles, so that it does not reveal which handles exist.
const REFUSED: &str = "Sorry, that agent cannot be reached. Please check the handle and try again.";
const NO_FREE_LINE: &str =
    "Sorry, no line is free for you right now. Disconnect from an agent or try again later.";
const HELP: &str = "Text \"connect @handle\" to talk to an agent, \"disconnect @handle\" to stop, \"list\" to see \
                    whom you are connected to.";
const NOT_CONNECTED: &str = "You are not connected to any agent. Text \"connect @handle\" to start.";

/// Executes the command in a text to the router line. A command that has begun is completed even if the caller
/// disconnects: a `disconnect` that waits for a send must not leave the connection half closed.
pub(super) async fn run(app: &App, text: &InboundText, replies: Replies) -> Result<TextOutcome> {
    let (with, text) = (app.clone(), text.clone());
    app.run_to_completion(async move { execute(&with, &text, replies).await }).await
}

async fn execute(app: &App, text: &InboundText, replies: Replies) -> Result<TextOutcome> {
    let request = CommandRequest {
        command: RouterCommand::parse(text.text.as_deref().unwrap_or_default()),
        line_number: text.line_number.clone(),
        remote_number: text.remote_number.clone(),
        provider_message_id: text.provider_message_id.clone(),
        new_connection_id: app.clock.new_id().into(),
        longest_send: max_send_duration(app.limits.line_time_out),
        reply: match replies {
            Replies::ByCaller => ReplyBy::Caller,
            Replies::ByLine => ReplyBy::Line { chat: text.chat.clone(), of: new_reply },
        },
        now: app.clock.now(),
    };
    let outcome = router_commands::execute(&app.db, request).await?;
    if matches!(outcome, CommandOutcome::NoFreeLine) {
        tracing::warn!("no pool line is free for a connection: add one with `inkbox-imessage line add`");
    }
    let reply = reply_to(&outcome).unwrap_or_default();
    Ok(match outcome {
        CommandOutcome::Connected { connection_id, line_number, .. } => {
            TextOutcome::Connected { connection_id, line_number, reply }
        }
        CommandOutcome::Disconnected { connection_id, .. } => {
            TextOutcome::Disconnected { connection_id, reply }
        }
        CommandOutcome::Refused | CommandOutcome::NoFreeLine => TextOutcome::Refused { reply },
        CommandOutcome::Listed(_) | CommandOutcome::Help => TextOutcome::Help { reply },
        CommandOutcome::Duplicate { connection_id } => TextOutcome::DuplicateCommand { connection_id },
    })
}

fn new_reply(outcome: &CommandOutcome) -> Option<NewReply> {
    let text = reply_to(outcome)?;
    let is_limited =
        matches!(outcome, CommandOutcome::Help | CommandOutcome::Refused | CommandOutcome::NoFreeLine);
    Some(NewReply { text, is_limited })
}

/// The reply to a command; `None` if it was executed before.
fn reply_to(outcome: &CommandOutcome) -> Option<String> {
    Some(match outcome {
        CommandOutcome::Connected { handle, .. } => {
            format!("You are connected to @{handle}. Say hello in the new thread.")
        }
        CommandOutcome::Disconnected { handle, .. } => format!("You are no longer connected to @{handle}."),
        CommandOutcome::Refused => REFUSED.to_owned(),
        CommandOutcome::NoFreeLine => NO_FREE_LINE.to_owned(),
        CommandOutcome::Listed(handles) if handles.is_empty() => NOT_CONNECTED.to_owned(),
        CommandOutcome::Listed(handles) => format!("You are connected to: @{}.", handles.join(", @")),
        CommandOutcome::Help => HELP.to_owned(),
        CommandOutcome::Duplicate { .. } => return None,
    })
}
