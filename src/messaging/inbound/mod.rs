//! Receiving what carriers deliver: texts, tapbacks and delivery reports.

mod by_hand;
mod delivery_status;
mod late;
mod pool_line;
mod reaction;
mod router_line;
mod tapback_text;
mod update;
mod validate;

pub use by_hand::{ByHandOutcome, receive_sent_by_hand};
pub use delivery_status::update_delivery_status;
pub use late::{TooLate, is_too_late};
pub use reaction::{InboundReaction, ReactionOutcome, receive_reaction};
pub use tapback_text::{TapbackWords, receive_tapback_text};
pub use update::{Change, MAX_WAIT_FOR_FILES, UpdateOutcome, await_files, receive_update};
pub use validate::{MAX_EMOJI_CHARACTERS, RawDeliveryUpdate, RawReaction, RawText};

use crate::app::App;
use crate::domain::{ConnectionId, LineRole, PhoneNumber};
use crate::error::{Error, Resource, Result};
use crate::store::inbound::{self, InboundText, Route, StoredMessage};

/// Maximum number of attempts to route a text. Routing is repeated if the connection ends between two statements, so all
/// attempts fail only if the human disconnects and reconnects this often within milliseconds.
const MAX_ROUTE_ATTEMPTS: u32 = 4;

/// The result of receiving a text.
#[derive(Debug, Clone)]
pub enum TextOutcome {
    /// Router line: the human is connected.
    Connected {
        connection_id: ConnectionId,
        /// The pool line of the connection.
        line_number: PhoneNumber,
        /// The reply to the human.
        reply: String,
    },
    /// Router line: the connection was released.
    Disconnected { connection_id: ConnectionId, reply: String },
    /// Router line: the command was not executed.
    Refused { reply: String },
    /// Router line: help, or the list of connections.
    Help { reply: String },
    /// Router line: the command was executed by an earlier delivery.
    DuplicateCommand {
        /// The connection of the first delivery.
        connection_id: Option<ConnectionId>,
    },
    /// Pool line: stored and visible to the agent.
    Stored(StoredMessage),
    /// Pool line: stored and hidden from the agent, because the human is blocked.
    StoredBlocked(StoredMessage),
    /// Pool line: stored by an earlier delivery, without some of the files that this one has.
    Completed(StoredMessage),
    /// Pool line: stored by an earlier delivery.
    Duplicate(StoredMessage),
    /// Pool line: stored by an earlier delivery, and deleted since.
    Forgotten,
    /// Pool line: the human has no active connection on this line. Nothing was stored.
    NotConnected,
    /// Pool line: iMessage is disabled for the identity. Nothing was stored.
    IdentityDisabled,
}

/// How the router line's reply to a command reaches the human.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replies {
    /// The caller sends the text that it gets.
    ByCaller,
    /// The service sends it from the line, see [`crate::messaging::router_replies`].
    ByLine,
}

/// Stores a text to a pool line, or executes the command in a text to the router line. The result is committed.
///
/// # Errors
/// `NotFound` when there is no line with this number.
pub async fn receive(app: &App, mut text: InboundText, replies: Replies) -> Result<TextOutcome> {
    for _ in 0..MAX_ROUTE_ATTEMPTS {
        let (route, stored_number) =
            find_route(app, &text.line_number, &text.remote_number, &text.provider_message_id).await?;
        text.remote_number = stored_number;
        let outcome = match route.role {
            LineRole::Router => Some(router_line::run(app, &text, replies).await?),
            LineRole::Pool => pool_line::deliver(app, &text, route).await?,
        };
        if let Some(outcome) = outcome {
            return Ok(outcome);
        }
    }
    tracing::warn!(
        attempts = MAX_ROUTE_ATTEMPTS,
        "inbound message could not be routed: its connection changed on every attempt"
    );
    Err(Error::StorageUnavailable)
}

/// The route of a human, and the number under which the two are connected: the canonical one, or the form under which an
/// earlier version stored the human, until `verify --repair` has rewritten it.
async fn find_route(
    app: &App,
    line_number: &PhoneNumber,
    remote_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<(Route, PhoneNumber)> {
    let find = |number: PhoneNumber| async move {
        let route = inbound::route(&app.db, line_number, &number, provider_message_id).await?;
        Ok::<_, Error>((route.ok_or(Error::NotFound(Resource::Line))?, number))
    };
    let found = find(remote_number.clone()).await?;
    if found.0.role == LineRole::Router || found.0.to.is_some() {
        return Ok(found);
    }
    for form in remote_number.forms().into_iter().filter(|form| form != remote_number) {
        let former = find(form).await?;
        if former.0.to.is_some() {
            return Ok(former);
        }
    }
    Ok(found)
}
