//! Redaction: removes texts, files, previews and custom emoji. Rows, counters, horizons and order stay
//! unchanged.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query;
use uuid::Uuid;

use super::first_id_of;
use crate::domain::OrganizationId;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// Rows that one transaction redacts. Its locks block messages of the affected conversations for some
/// milliseconds.
const BATCH_SIZE: i64 = 500;
/// Messages that arrived less than this before the limit are processed again by the next run: an id is
/// generated some time before its row becomes visible, and the clocks of replicas differ.
const VISIBILITY_LAG: TimeDelta = TimeDelta::minutes(5);

/// Kinds of rows that have a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// Texts and files of messages, and the conversation previews copied from them.
    Messages,
    /// Custom emoji of reactions.
    Reactions,
}

/// Progress of the redaction of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RedactionProgress {
    /// The last processed id.
    pub after: Uuid,
    /// The number of rows of the batch.
    pub redacted: u64,
    /// Whether there may be more rows.
    pub more: bool,
}

/// Whether an organization has unprocessed rows of any kind that arrived before a point in time. Keeps the
/// cost of an idle organization at one statement.
pub async fn has_unredacted(
    db: &Database,
    organization_id: &OrganizationId,
    before: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query retention::bodies::to_be_blanked", |connection| async move {
            let row = query!(
                r#"SELECT EXISTS (SELECT id FROM messages
                                  WHERE organization_id = $1 AND id < $2
                                    AND id > coalesce((SELECT messages_to FROM retention_progress
                                                       WHERE organization_id = $1), $3))
                       OR EXISTS (SELECT id FROM reactions
                                  WHERE organization_id = $1 AND id < $2
                                    AND id > coalesce((SELECT reactions_to FROM retention_progress
                                                       WHERE organization_id = $1), $3)) AS "some!""#,
                organization_id.as_str(),
                first_id_of(before),
                Uuid::nil(),
            )
            .fetch_one(connection)
            .await?;
            Ok(row.some)
        })
        .await
}

/// Redacts the next batch of an organization's rows that arrived before a point in time, in order of arrival.
/// Starts after the stored progress or after `after`, whichever is greater.
pub async fn redact(
    db: &Database,
    organization_id: &OrganizationId,
    kind: BodyKind,
    before: DateTime<Utc>,
    after: Uuid,
    now: DateTime<Utc>,
) -> Result<RedactionProgress, StoreError> {
    let owner = organization_id.clone();
    // Preview, message and progress must change together.
    db.transaction(
        Affects::organization(organization_id),
        "transaction retention::bodies::blank",
        move |connection| {
            let organization_id = owner.clone();
            Box::pin(async move {
                let progress = lock_progress(connection, &organization_id, kind).await?.max(after);
                let until = first_id_of(before);
                let processed = match kind {
                    BodyKind::Messages => {
                        redact_messages(connection, &organization_id, progress, until, now).await?
                    }
                    BodyKind::Reactions => {
                        redact_reactions(connection, &organization_id, progress, until, now).await?
                    }
                };
                let more = i64::try_from(processed.len()).unwrap_or(BATCH_SIZE) >= BATCH_SIZE;
                let settled = first_id_of(before - VISIBILITY_LAG);
                let after = processed.last().copied().unwrap_or(progress);
                save_progress(
                    connection,
                    &organization_id,
                    kind,
                    if more { after.min(settled) } else { settled },
                )
                .await?;
                Ok(RedactionProgress { after, redacted: processed.len() as u64, more })
            })
        },
    )
    .await
}

/// Locks the progress of one kind and returns the last processed id. A concurrent redaction of the
/// organization waits here.
async fn lock_progress(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    kind: BodyKind,
) -> Result<Uuid, StoreError> {
    let (messages_to, reactions_to) = lock_retention(connection, organization_id).await?;
    Ok(match kind {
        BodyKind::Messages => messages_to,
        BodyKind::Reactions => reactions_to,
    })
}

/// Locks the retention progress of an organization, so that no other transaction redacts its bodies before
/// this one ends. Returns the ids of the last message and the last reaction that were processed. Must be
/// called before any other lock is taken.
pub(in crate::store) async fn lock_retention(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
) -> Result<(Uuid, Uuid), StoreError> {
    query!(
        "INSERT INTO retention_progress (organization_id, messages_to, reactions_to) VALUES ($1, $2, $2)
         ON CONFLICT (organization_id) DO NOTHING",
        organization_id.as_str(),
        Uuid::nil(),
    )
    .execute(&mut *connection)
    .await?;
    let row = query!(
        "SELECT messages_to, reactions_to FROM retention_progress WHERE organization_id = $1 FOR NO KEY UPDATE",
        organization_id.as_str(),
    )
    .fetch_one(connection)
    .await?;
    Ok((row.messages_to, row.reactions_to))
}

/// Stores the progress. Never moves it backwards, so that nothing is processed again after the limit was
/// increased.
async fn save_progress(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    kind: BodyKind,
    to: Uuid,
) -> Result<(), StoreError> {
    let (messages_to, reactions_to) = match kind {
        BodyKind::Messages => (to, Uuid::nil()),
        BodyKind::Reactions => (Uuid::nil(), to),
    };
    query!(
        "UPDATE retention_progress
         SET messages_to = greatest(messages_to, $2), reactions_to = greatest(reactions_to, $3)
         WHERE organization_id = $1",
        organization_id.as_str(),
        messages_to,
        reactions_to,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn redact_messages(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    after: Uuid,
    until: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, StoreError> {
    let rows = query!(
        "SELECT id, conversation_id FROM messages
         WHERE organization_id = $1 AND id > $2 AND id < $3
         ORDER BY id
         LIMIT $4",
        organization_id.as_str(),
        after,
        until,
        BATCH_SIZE,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut conversation_ids: Vec<Uuid> = rows.iter().map(|row| row.conversation_id).collect();
    conversation_ids.sort_unstable();
    conversation_ids.dedup();
    // A concurrent message locks its conversation. This update then waits and evaluates its condition again,
    // so that a newer preview stays. No list changes its order, and no index covers the changed columns.
    query!(
        "UPDATE conversations SET clear_latest_text = NULL, clear_latest_has_media = false
         WHERE organization_id = $1 AND id = ANY ($2) AND clear_latest_id = ANY ($3)
           AND (clear_latest_text IS NOT NULL OR clear_latest_has_media)",
        organization_id.as_str(),
        &conversation_ids,
        &ids,
    )
    .execute(&mut *connection)
    .await?;
    query!(
        "UPDATE conversations SET blocked_latest_text = NULL, blocked_latest_has_media = false
         WHERE organization_id = $1 AND id = ANY ($2) AND blocked_latest_id = ANY ($3)
           AND (blocked_latest_text IS NOT NULL OR blocked_latest_has_media)",
        organization_id.as_str(),
        &conversation_ids,
        &ids,
    )
    .execute(&mut *connection)
    .await?;
    query!(
        "UPDATE messages SET text = NULL, media = NULL, original_text = NULL, updated_at = $3
         WHERE organization_id = $1 AND id = ANY ($2)
           AND (text IS NOT NULL OR media IS NOT NULL OR original_text IS NOT NULL)",
        organization_id.as_str(),
        &ids,
        now,
    )
    .execute(connection)
    .await?;
    Ok(ids)
}

async fn redact_reactions(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    after: Uuid,
    until: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, StoreError> {
    let rows = query!(
        "SELECT id FROM reactions
         WHERE organization_id = $1 AND id > $2 AND id < $3
         ORDER BY id
         LIMIT $4",
        organization_id.as_str(),
        after,
        until,
        BATCH_SIZE,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<Uuid> = rows.into_iter().map(|row| row.id).collect();
    query!(
        "UPDATE reactions SET custom_emoji = NULL, updated_at = $3
         WHERE organization_id = $1 AND id = ANY ($2) AND custom_emoji IS NOT NULL",
        organization_id.as_str(),
        &ids,
        now,
    )
    .execute(connection)
    .await?;
    Ok(ids)
}
