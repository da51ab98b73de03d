//! Tapbacks that come as text: found by the words they quote, and acted on once.

use chrono::{DateTime, Utc};
use sqlx::query;

use super::{Affects, Database, DbConnection, StoreError, reactions};
use crate::domain::{
    ConversationId, Direction, MessageId, OrganizationId, PhoneNumber, Reaction, ReactionId, ReactionType,
};

/// How far back a quoted message is looked for, in messages of the conversation: people react to what is on their
/// screen, and a longer search would read more than a page of the list does.
const LOOKED_AT: i64 = 200;

/// What a tapback says it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Quoted {
    /// A message with this text, or with a text that begins so.
    Text {
        /// The words between the quotation marks.
        whole: String,
        /// The same without the dots of a quotation that was cut; `None` where it has none.
        beginning: Option<String>,
    },
    /// A picture or another file.
    File,
}

/// A tapback that came as text.
#[derive(Debug, Clone)]
pub struct NewTapbackText {
    /// Owner of the conversation.
    pub organization_id: OrganizationId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The line it came to; what it is on came or went by the same one.
    pub line_number: PhoneNumber,
    /// The carrier's id of the text.
    pub provider_message_id: String,
    /// What it is on.
    pub quoted: Quoted,
    /// What it says.
    pub reaction: ReactionType,
    /// The emoji of a custom one.
    pub custom_emoji: Option<String>,
    /// Whether it is taken back.
    pub removed: bool,
    /// Id of the reaction, should one be made.
    pub reaction_id: ReactionId,
    /// When it came.
    pub now: DateTime<Utc>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acted {
    /// The reaction is recorded, or its end is.
    Done(ReactionId),
    /// It was so before: `None` where nothing was there to take back.
    AlreadySo(Option<ReactionId>),
    /// Another delivery of the same text was faster.
    Delivered,
    /// No message near the end of the conversation reads so. Nothing was written down.
    Unmatched,
}

/// Whether a text was taken as a tapback before.
pub async fn was_delivered(
    db: &Database,
    line_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::All).await?;
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

/// Finds the message that is quoted, and puts the tapback on it or takes it back.
pub async fn act(db: &Database, new: NewTapbackText) -> Result<Acted, StoreError> {
    // The tapback and the note that it was acted on must agree, or a redelivery would act again.
    let owner = new.organization_id.clone();
    let acted =
        db.transaction(Affects::organization(&owner), "transaction tapback_texts::act", move |connection| {
            let new = new.clone();
            Box::pin(async move {
                let Some(message_id) = find(connection, &new).await? else { return Ok(Acted::Unmatched) };
                if !take_note(connection, &new).await? {
                    return Ok(Acted::Delivered);
                }
                if new.removed {
                    let ended = take_back(connection, &new, message_id).await?;
                    return Ok(ended.map_or(Acted::AlreadySo(None), Acted::Done));
                }
                let reaction = Reaction {
                    id: new.reaction_id,
                    conversation_id: new.conversation_id,
                    message_id,
                    direction: Direction::Inbound,
                    reaction: new.reaction,
                    custom_emoji: new.custom_emoji,
                    part_index: 0,
                    created_at: new.now,
                };
                let put = reactions::put_within(connection, &new.organization_id, reaction).await?;
                Ok(if put.changed { Acted::Done(put.live.id) } else { Acted::AlreadySo(Some(put.live.id)) })
            })
        });
    match acted.await {
        // The message was deleted since it was found.
        Err(failure) if failure.violates("reactions_message") => Ok(Acted::Unmatched),
        other => other,
    }
}

/// The newest message that reads so; for a tapback that is taken back, the newest one that has it.
async fn find(connection: &mut DbConnection, new: &NewTapbackText) -> Result<Option<MessageId>, StoreError> {
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
                     ELSE btrim(n.text, E' \t\r\n') = btrim($5, E' \t\r\n') OR starts_with(n.text, $6) END
          ORDER BY ($7 AND EXISTS (
                        SELECT FROM reactions r
                        WHERE r.organization_id = $1 AND r.message_id = n.id AND r.direction = 1
                          AND r.part_index = 0 AND r.removed_at IS NULL AND r.reaction = $8
                          AND r.custom_emoji IS NOT DISTINCT FROM $9)) DESC,
                   n.created_at DESC, n.id DESC
          LIMIT 1",
        new.organization_id.as_str(),
        new.conversation_id.uuid(),
        LOOKED_AT,
        new.line_number.as_str(),
        whole,
        beginning,
        new.removed,
        new.reaction.number(),
        new.custom_emoji,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.id.into()))
}

/// Notes that the text is acted on; false where it was before. A delivery at the same time waits here.
async fn take_note(connection: &mut DbConnection, new: &NewTapbackText) -> Result<bool, StoreError> {
    let rows = query!(
        "INSERT INTO tapback_texts (line_number, provider_message_id, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (line_number, provider_message_id) DO NOTHING",
        new.line_number.as_str(),
        new.provider_message_id,
        new.now,
    )
    .execute(connection)
    .await?;
    Ok(rows.rows_affected() == 1)
}

/// Ends the human's live tapback, where it is the one that is spoken of: a later one has taken its place otherwise.
async fn take_back(
    connection: &mut DbConnection,
    new: &NewTapbackText,
    message_id: MessageId,
) -> Result<Option<ReactionId>, StoreError> {
    let row = query!(
        "UPDATE reactions SET removed_at = $3
         WHERE organization_id = $1 AND message_id = $2 AND direction = 1 AND part_index = 0
           AND removed_at IS NULL AND reaction = $4 AND custom_emoji IS NOT DISTINCT FROM $5
         RETURNING id",
        new.organization_id.as_str(),
        message_id.uuid(),
        new.now,
        new.reaction.number(),
        new.custom_emoji,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.id.into()))
}
