//! Reactions (tapbacks) on messages.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::{Affects, Database, DbConnection, StoreError};
use crate::domain::{
    ConnectionId, ConversationId, Direction, EventType, IdentityId, MessageId, NewEvent, OrganizationId,
    PhoneNumber, Reaction, ReactionId, ReactionType, View,
};

/// The foreign key of a reaction to its message. Violated if the message was deleted concurrently.
pub(super) const MESSAGE_CONSTRAINT: &str = "reactions_message";

/// A row of `reactions`.
pub(super) struct ReactionRow {
    pub(super) id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) message_id: Uuid,
    pub(super) direction: i16,
    pub(super) reaction: i16,
    pub(super) custom_emoji: Option<String>,
    pub(super) part_index: i32,
    pub(super) created_at: DateTime<Utc>,
    pub(super) removed_at: Option<DateTime<Utc>>,
    /// When it was redacted.
    pub(super) updated_at: Option<DateTime<Utc>>,
}

impl ReactionRow {
    /// The reaction on a message that was exchanged with this human.
    pub(super) fn reaction(self, remote_number: PhoneNumber) -> Result<Reaction, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "reactions", column, id: self.id };
        let changes = [self.removed_at, self.updated_at].into_iter().flatten();
        Ok(Reaction {
            id: self.id.into(),
            conversation_id: self.conversation_id.into(),
            message_id: self.message_id.into(),
            remote_number,
            direction: Direction::from_number(self.direction).ok_or_else(|| corrupt("direction"))?,
            reaction: ReactionType::from_number(self.reaction).ok_or_else(|| corrupt("reaction"))?,
            custom_emoji: self.custom_emoji,
            part_index: self.part_index,
            created_at: self.created_at,
            updated_at: changes.fold(self.created_at, DateTime::max),
        })
    }
}

/// A message that a reaction is added to.
#[derive(Debug, Clone)]
pub struct ReactionTarget {
    /// The message.
    pub message_id: MessageId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The connection on which the message was received or sent.
    pub assignment_id: ConnectionId,
    /// The carrier's id of the message; `None` if the carrier never reported one.
    pub provider_message_id: Option<String>,
}

/// A message by id, optionally only if it belongs to one identity, if the view includes it.
pub async fn target(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    message_id: MessageId,
) -> Result<Option<ReactionTarget>, StoreError> {
    let identity_id = identity_id.map(IdentityId::uuid);
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query reactions::target", |connection| async move {
            let row = query!(
                "SELECT conversation_id, assignment_id, provider_message_id FROM messages
                 WHERE organization_id = $1 AND id = $2 AND ($3::uuid IS NULL OR agent_identity_id = $3)
                   AND CASE WHEN is_blocked THEN $4 ELSE $5::boolean END",
                organization_id.as_str(),
                message_id.uuid(),
                identity_id,
                view.shows(true),
                view.shows(false),
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| ReactionTarget {
                message_id,
                conversation_id: row.conversation_id.into(),
                assignment_id: row.assignment_id.into(),
                provider_message_id: row.provider_message_id,
            }))
        })
        .await
}

/// Result of [`put`].
#[derive(Debug, Clone)]
pub struct Change {
    /// The reaction that is live now.
    pub live: Reaction,
    /// False if it was live before.
    pub changed: bool,
}

/// Adds a reaction, replacing the live one of the same direction on the same message part. Idempotent: adding
/// the live reaction again changes nothing. `None` if the message does not exist any more.
pub async fn put(
    db: &Database,
    organization_id: &OrganizationId,
    new: Reaction,
) -> Result<Option<Change>, StoreError> {
    let owner = organization_id.clone();
    let affects = Affects::organization(organization_id);
    // One transaction, so that there is never no live reaction, or two, during a replacement.
    let putting = db.transaction(affects, "transaction reactions::put", move |connection| {
        let (organization_id, new) = (owner.clone(), new.clone());
        Box::pin(async move { put_in(connection, &organization_id, new).await })
    });
    match putting.await {
        Err(failure) if failure.violates(MESSAGE_CONSTRAINT) => Ok(None),
        other => other.map(Some),
    }
}

/// [`put`] inside the caller's transaction.
pub(super) async fn put_in(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    new: Reaction,
) -> Result<Change, StoreError> {
    let live = query!(
        "SELECT id, reaction, custom_emoji, created_at, updated_at FROM reactions
         WHERE organization_id = $1 AND message_id = $2 AND direction = $3 AND part_index = $4
           AND removed_at IS NULL
         FOR UPDATE",
        organization_id.as_str(),
        new.message_id.uuid(),
        new.direction.number(),
        new.part_index,
    )
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(live) = live {
        if live.reaction == new.reaction.number() && live.custom_emoji == new.custom_emoji {
            let updated_at = live.updated_at.unwrap_or(live.created_at);
            let live = Reaction { id: live.id.into(), created_at: live.created_at, updated_at, ..new };
            return Ok(Change { live, changed: false });
        }
        mark_removed(connection, organization_id, live.id.into(), new.created_at).await?;
    }
    query!(
        "INSERT INTO reactions (organization_id, id, message_id, conversation_id, direction, reaction,
                                custom_emoji, part_index, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        organization_id.as_str(),
        new.id.uuid(),
        new.message_id.uuid(),
        new.conversation_id.uuid(),
        new.direction.number(),
        new.reaction.number(),
        new.custom_emoji,
        new.part_index,
        new.created_at,
    )
    .execute(&mut *connection)
    .await?;
    if new.direction == Direction::Inbound {
        log_event(connection, organization_id, EventType::ReactionReceived, new.id, new.message_id).await?;
    }
    Ok(Change { live: new, changed: true })
}

/// Logs what a human did with a reaction.
async fn log_event(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    event_type: EventType,
    id: ReactionId,
    message_id: MessageId,
) -> Result<(), StoreError> {
    let message = query!(
        "SELECT agent_identity_id, conversation_id, is_blocked FROM messages WHERE organization_id = $1 AND id = $2",
        organization_id.as_str(),
        message_id.uuid(),
    )
    .fetch_one(&mut *connection)
    .await?;
    let event = NewEvent::of_reaction(
        event_type,
        message.agent_identity_id.into(),
        message.conversation_id.into(),
        id,
        message_id,
        message.is_blocked,
    );
    connection.log_event(organization_id, event)
}

/// Whether the human's reaction on a part of a message was added, replaced or removed at this time or later.
pub async fn changed_since(
    db: &Database,
    organization_id: &OrganizationId,
    message_id: MessageId,
    part_index: i32,
    since: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query reactions::changed_since", |connection| async move {
            let row = query!(
                r#"SELECT EXISTS (
                       SELECT id FROM reactions
                       WHERE organization_id = $1 AND message_id = $2 AND direction = $3 AND part_index = $4
                         AND (created_at >= $5 OR removed_at >= $5)) AS "changed!""#,
                organization_id.as_str(),
                message_id.uuid(),
                Direction::Inbound.number(),
                part_index,
                since,
            )
            .fetch_one(connection)
            .await?;
            Ok(row.changed)
        })
        .await
}

/// A human's removal of a reaction of theirs.
#[derive(Debug, Clone)]
pub struct InboundRemoval {
    /// The message.
    pub message_id: MessageId,
    /// The reaction.
    pub reaction: ReactionType,
    /// The emoji of a custom reaction.
    pub custom_emoji: Option<String>,
    /// The part of the message.
    pub part_index: i32,
    /// Time of the removal.
    pub now: DateTime<Utc>,
}

/// Marks the human's live reaction as removed if it is the one that the removal names. `None` if there is none, or a
/// different one: that one was added later, because carriers deliver out of order.
pub async fn take_back(
    db: &Database,
    organization_id: &OrganizationId,
    removal: InboundRemoval,
) -> Result<Option<ReactionId>, StoreError> {
    let owner = organization_id.clone();
    // The reaction and its event must agree.
    db.transaction(
        Affects::organization(organization_id),
        "transaction reactions::take_back",
        move |connection| {
            let (organization_id, removal) = (owner.clone(), removal.clone());
            Box::pin(async move { take_back_in(connection, &organization_id, removal).await })
        },
    )
    .await
}

/// [`take_back`] inside the caller's transaction.
pub(super) async fn take_back_in(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    removal: InboundRemoval,
) -> Result<Option<ReactionId>, StoreError> {
    let row = query!(
        "UPDATE reactions SET removed_at = $5
         WHERE organization_id = $1 AND message_id = $2 AND direction = $3 AND part_index = $4
           AND removed_at IS NULL AND reaction = $6 AND custom_emoji IS NOT DISTINCT FROM $7
         RETURNING id",
        organization_id.as_str(),
        removal.message_id.uuid(),
        Direction::Inbound.number(),
        removal.part_index,
        removal.now,
        removal.reaction.number(),
        removal.custom_emoji,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let id = row.id.into();
    log_event(connection, organization_id, EventType::ReactionRemoved, id, removal.message_id).await?;
    Ok(Some(id))
}

/// A reaction with the data that its removal needs.
#[derive(Debug, Clone)]
pub struct Removal {
    /// The reaction.
    pub reaction: Reaction,
    /// Whether it was removed or replaced before.
    pub removed: bool,
    /// The connection of its message.
    pub assignment_id: ConnectionId,
    /// The carrier's id of its message.
    pub provider_message_id: Option<String>,
}

/// A reaction by id, optionally only if it belongs to one identity, if the view includes its message.
pub async fn find(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    id: ReactionId,
) -> Result<Option<Removal>, StoreError> {
    let identity_id = identity_id.map(IdentityId::uuid);
    let mut session = db.acquire(Affects::None).await?;
    session.run("query reactions::find", |connection| async move {
            let row = query!(
                "SELECT r.message_id, r.conversation_id, r.direction, r.reaction, r.custom_emoji, r.part_index,
                        r.created_at, r.removed_at, r.updated_at, m.assignment_id, m.provider_message_id,
                        c.remote_number
                 FROM reactions r
                 JOIN messages m ON m.organization_id = $1 AND m.id = r.message_id
                 JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                 WHERE r.organization_id = $1 AND r.id = $2 AND ($3::uuid IS NULL OR m.agent_identity_id = $3)
                   AND CASE WHEN m.is_blocked THEN $4 ELSE $5::boolean END",
                organization_id.as_str(),
                id.uuid(),
                identity_id,
                view.shows(true),
                view.shows(false),
            )
            .fetch_optional(connection)
            .await?;
            let Some(row) = row else { return Ok(None) };
            Ok(Some(Removal {
                reaction: ReactionRow {
                    id: id.uuid(),
                    conversation_id: row.conversation_id,
                    message_id: row.message_id,
                    direction: row.direction,
                    reaction: row.reaction,
                    custom_emoji: row.custom_emoji,
                    part_index: row.part_index,
                    created_at: row.created_at,
                    removed_at: row.removed_at,
                    updated_at: row.updated_at,
                }
                .reaction(row.remote_number.into())?,
                removed: row.removed_at.is_some(),
                assignment_id: row.assignment_id.into(),
                provider_message_id: row.provider_message_id,
            }))
        })
        .await
}

/// Marks an outbound reaction as removed, after the carrier removed it.
pub async fn remove(
    db: &Database,
    organization_id: &OrganizationId,
    id: ReactionId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query reactions::remove", |connection| mark_removed(connection, organization_id, id, now))
        .await
}

async fn mark_removed(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    id: ReactionId,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    query!(
        "UPDATE reactions SET removed_at = $3 WHERE organization_id = $1 AND id = $2 AND removed_at IS NULL",
        organization_id.as_str(),
        id.uuid(),
        now,
    )
    .execute(connection)
    .await?;
    Ok(())
}
