//! What becomes of a text that a human sent, whatever brought it here.

mod pool_line;
mod reaction;
mod router_line;
mod tapback_text;
mod validate;

pub use reaction::{InboundReaction, ReactionOutcome, receive_reaction};
pub use tapback_text::{TapbackWords, receive_tapback_text};
pub use validate::{EMOJI_LIMIT, RawDeliveryUpdate, RawReaction, RawText};

use crate::app::App;
use crate::domain::{ConnectionId, LineRole, PhoneNumber};
use crate::error::{Error, Resource, Result};
use crate::store::inbound::{self, InboundText, StoredMessage};

/// How often a text is routed again because its connection ended between two statements. A human would have to
/// disconnect and reconnect within milliseconds, as often as this.
const ROUTE_ATTEMPTS: u32 = 4;

/// What became of a text.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// Router line: the human is connected.
    Connected {
        /// The connection.
        connection_id: ConnectionId,
        /// The pool line on which its thread opens.
        line_number: PhoneNumber,
        /// What to answer the human.
        reply: String,
    },
    /// Router line: the connection has ended.
    Disconnected {
        /// The connection.
        connection_id: ConnectionId,
        /// What to answer the human.
        reply: String,
    },
    /// Router line: nothing was done.
    Refused {
        /// What to answer the human.
        reply: String,
    },
    /// Router line: the human was told something.
    Help {
        /// What to answer the human.
        reply: String,
    },
    /// Router line: acted on before.
    DuplicateCommand {
        /// The connection of the first delivery.
        connection_id: Option<ConnectionId>,
    },
    /// Pool line: the agent has it.
    Stored(StoredMessage),
    /// Pool line: kept, hidden from the agent.
    StoredBlocked(StoredMessage),
    /// Pool line: stored before.
    Duplicate(StoredMessage),
    /// Pool line: stored before, and deleted since.
    Forgotten,
    /// Pool line: this human has no active connection here. Nothing was stored.
    NotConnected,
    /// Pool line: the identity's iMessage is off. Nothing was stored.
    IdentityDisabled,
}

/// Takes a text in. When this returns, what it says is committed.
///
/// # Errors
/// `NotFound` when the line is not ours.
pub async fn receive(app: &App, text: InboundText) -> Result<Outcome> {
    for _ in 0..ROUTE_ATTEMPTS {
        let route =
            inbound::route(&app.db, &text.line_number, &text.remote_number, &text.provider_message_id)
                .await?
                .ok_or(Error::NotFound(Resource::Line))?;
        let outcome = match route.role {
            LineRole::Router => Some(router_line::obey(app, &text).await?),
            LineRole::Pool => pool_line::deliver(app, &text, route).await?,
        };
        if let Some(outcome) = outcome {
            return Ok(outcome);
        }
    }
    tracing::warn!(attempts = ROUTE_ATTEMPTS, "a text's connection kept changing");
    Err(Error::StorageUnavailable)
}
