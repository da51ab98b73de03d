//! Tapbacks that a carrier delivers as text. The target message is found by the quoted text, and each
//! delivery is applied once.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::reactions::{self, InboundRemoval};
use super::{Affects, Database, DbConnection, StoreError};
use crate::domain::{
    ConversationId, Direction, MessageId, OrganizationId, PhoneNumber, Reaction, ReactionId, ReactionType,
};

/// How many of the newest messages are searched for the quoted text. People react to messages on their
/// screen, and a longer search would read more rows than a page of the list does.
const MAX_SEARCHED: i64 = 200;

/// White space, and invisible characters that phones put beside it. Those around a message and around a quotation of it
/// need not be the same, so they are ignored there.
pub const BLANKS: &str = "\t\n\u{b}\u{c}\r \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\
    \u{2007}\u{2008}\u{2009}\u{200a}\u{200b}\u{200c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\
    \u{202e}\u{202f}\u{205f}\u{2060}\u{2066}\u{2067}\u{2068}\u{2069}\u{3000}\u{feff}";

/// The quotation in a tapback text, which identifies the target message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quoted {
    /// The text of the message, possibly truncated.
    Text {
        /// The text between the quotation marks.
        whole: String,
        /// The same without the ellipsis of a truncated quotation; `None` if there is no ellipsis.
        beginning: Option<String>,
    },
    /// A picture or another file.
    File,
}

/// A tapback that was delivered as text.
#[derive(Debug, Clone)]
pub struct NewTapbackText {
    /// Organization of the conversation.
    pub organization_id: OrganizationId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The human.
    pub remote_number: PhoneNumber,
    /// The line that received it. The target message was received or sent on the same line.
    pub line_number: PhoneNumber,
    /// The carrier's id of the delivery.
    pub provider_message_id: String,
    /// The quotation.
    pub quoted: Quoted,
    /// The reaction.
    pub reaction: ReactionType,
    /// The emoji of a custom reaction.
    pub custom_emoji: Option<String>,
    /// Whether the text removes the reaction.
    pub removed: bool,
    /// Id for the reaction if one is added.
    pub reaction_id: ReactionId,
    /// Time of arrival.
    pub now: DateTime<Utc>,
}

/// Result of [`apply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapbackOutcome {
    /// The reaction was added or removed.
    Applied(ReactionId),
    /// Nothing changed: the reaction existed already, or there was none to remove (`None`).
    Unchanged(Option<ReactionId>),
    /// Another delivery of the same text was applied before.
    Duplicate,
    /// None of the newest messages of the conversation matches the quotation. Nothing was recorded.
    Unmatched,
}

/// Whether a text was applied as a tapback before.
pub async fn was_delivered(
    db: &Database,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query tapback_texts::was_delivered", |connection| async move {
            let row = query!(
                "SELECT created_at FROM tapback_texts WHERE line_number = $1 AND provider_message_id = $2",
                line_number.as_str(),
                provider_message_id,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.is_some())
        })
        .await
}

/// Finds the quoted message and adds the reaction to it or removes it.
pub async fn apply(db: &Database, new: NewTapbackText) -> Result<TapbackOutcome, StoreError> {
    let affects = Affects::organization(&new.organization_id);
    // One transaction for the reaction and the record of the delivery, or a redelivery would be applied
    // again.
    let applying = db.transaction(affects, "transaction tapback_texts::act", move |connection| {
        let new = new.clone();
        Box::pin(async move { apply_in(connection, new).await })
    });
    match applying.await {
        // The message was deleted after it was found.
        Err(failure) if failure.violates(reactions::MESSAGE_CONSTRAINT) => Ok(TapbackOutcome::Unmatched),
        other => other,
    }
}

async fn apply_in(connection: &mut DbConnection, new: NewTapbackText) -> Result<TapbackOutcome, StoreError> {
    let Some(message_id) = find_quoted(connection, &new).await? else {
        return Ok(TapbackOutcome::Unmatched);
    };
    if !record_delivery(connection, &new).await? {
        return Ok(TapbackOutcome::Duplicate);
    }
    if new.removed {
        let removal = InboundRemoval {
            message_id,
            reaction: new.reaction,
            custom_emoji: new.custom_emoji,
            part_index: 0,
            now: new.now,
        };
        let removed = reactions::take_back_in(connection, &new.organization_id, removal).await?;
        return Ok(removed.map_or(TapbackOutcome::Unchanged(None), TapbackOutcome::Applied));
    }
    let reaction = Reaction {
        id: new.reaction_id,
        conversation_id: new.conversation_id,
        message_id,
        remote_number: new.remote_number.clone(),
        direction: Direction::Inbound,
        reaction: new.reaction,
        custom_emoji: new.custom_emoji,
        part_index: 0,
        created_at: new.now,
        updated_at: new.now,
    };
    let put = reactions::put_in(connection, &new.organization_id, reaction).await?;
    Ok(if put.changed {
        TapbackOutcome::Applied(put.live.id)
    } else {
        TapbackOutcome::Unchanged(Some(put.live.id))
    })
}

/// The newest message that matches the quotation; for a removal, preferably the newest one that has the
/// reaction.
async fn find_quoted(
    connection: &mut DbConnection,
    new: &NewTapbackText,
) -> Result<Option<MessageId>, StoreError> {
    let (whole, beginning) = match &new.quoted {
        Quoted::Text { whole, beginning } => (Some(whole.as_str()), beginning.as_deref()),
        Quoted::File => (None, None),
    };
    let row = query!(
        r"WITH newest AS (
              SELECT id, line_number, status, text, media, created_at FROM messages
              WHERE organization_id = $1 AND conversation_id = $2 AND is_blocked = false
              ORDER BY created_at DESC, id DESC
              LIMIT $3)
          SELECT n.id FROM newest n
          WHERE n.line_number = $4 AND n.status NOT IN (7, 8)
            AND CASE WHEN $5::text IS NULL THEN n.media IS NOT NULL
                     ELSE btrim(n.text, $10) = btrim($5, $10) OR starts_with(ltrim(n.text, $10), $6) END
          ORDER BY ($7 AND EXISTS (
                        SELECT FROM reactions r
                        WHERE r.organization_id = $1 AND r.message_id = n.id AND r.direction = 1
                          AND r.part_index = 0 AND r.removed_at IS NULL AND r.reaction = $8
                          AND r.custom_emoji IS NOT DISTINCT FROM $9)) DESC,
                   n.created_at DESC, n.id DESC
          LIMIT 1",
        new.organization_id.as_str(),
        new.conversation_id.uuid(),
        MAX_SEARCHED,
        new.line_number.as_str(),
        whole,
        beginning,
        new.removed,
        new.reaction.number(),
        new.custom_emoji,
        BLANKS,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.id.into()))
}

/// Records the delivery. Returns false if it was recorded before. A concurrent delivery of the same text
/// waits here.
async fn record_delivery(connection: &mut DbConnection, new: &NewTapbackText) -> Result<bool, StoreError> {
    let done = query!(
        "INSERT INTO tapback_texts (line_number, provider_message_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (line_number, provider_message_id) DO NOTHING",
        new.line_number.as_str(),
        new.provider_message_id,
        new.now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() == 1)
}
