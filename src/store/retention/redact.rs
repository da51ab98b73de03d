//! Blanking what was said. Rows, counts, horizons and order stay: only the words and files go.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query;
use uuid::Uuid;

use super::first_id_of;
use crate::domain::OrganizationId;
use crate::store::{Database, Failure, Link};

/// Most rows that one transaction blanks: its locks stand in the way of texts and sends for some milliseconds.
const BATCH: i64 = 500;
/// What arrived within so much of the limit is looked at again by the next sweep: an id is made some time before its row
/// can be seen, and the clocks of replicas differ.
const LAG: TimeDelta = TimeDelta::minutes(5);

/// Which rows have bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bodies {
    /// Texts and files of messages, with the previews of conversations that show them.
    Messages,
    /// Custom emoji of reactions.
    Reactions,
}

/// How far a sweep has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The last id that was looked at.
    pub after: Uuid,
    /// Whether there may be more.
    pub more: bool,
}

/// Whether an organization has rows of either kind that arrived before a time and were not looked at yet. One statement,
/// so that an organization that rests costs no more.
pub async fn to_be_blanked(
    db: &Database,
    organization_id: &OrganizationId,
    before: DateTime<Utc>,
) -> Result<bool, Failure> {
    let mut session = db.look_up().await?;
    session
        .run(|connection| async move {
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

/// Looks at the next rows of an organization that arrived before a time, in order of arrival, and blanks what they say.
/// Begins where the sweeps before it ended, or after `after` where that is further.
pub async fn blank(
    db: &Database,
    organization_id: &OrganizationId,
    bodies: Bodies,
    before: DateTime<Utc>,
    after: Uuid,
    now: DateTime<Utc>,
) -> Result<Progress, Failure> {
    let owner = organization_id.clone();
    // Preview and message must agree, and so must both and how far the sweep has come.
    db.transaction_for(organization_id, move |connection| {
        let organization_id = owner.clone();
        Box::pin(async move {
            let reached = lock_progress(connection, &organization_id, bodies).await?.max(after);
            let until = first_id_of(before);
            let looked_at = match bodies {
                Bodies::Messages => messages(connection, &organization_id, reached, until, now).await?,
                Bodies::Reactions => reactions(connection, &organization_id, reached, until).await?,
            };
            let more = i64::try_from(looked_at.len()).unwrap_or(BATCH) >= BATCH;
            let settled = first_id_of(before - LAG);
            let after = looked_at.last().copied().unwrap_or(reached);
            save_progress(
                connection,
                &organization_id,
                bodies,
                if more { after.min(settled) } else { settled },
            )
            .await?;
            Ok(Progress { after, more })
        })
    })
    .await
}

/// Takes the organization's turn, and says how far sweeps have come. Another one waits here.
async fn lock_progress(
    connection: &mut Link,
    organization_id: &OrganizationId,
    bodies: Bodies,
) -> Result<Uuid, Failure> {
    let (messages_to, reactions_to) = take_turn(connection, organization_id).await?;
    Ok(match bodies {
        Bodies::Messages => messages_to,
        Bodies::Reactions => reactions_to,
    })
}

/// Keeps sweeps from blanking anything of an organization until the end of the transaction; returns up to which ids of
/// messages and reactions they have come. To be done before any other lock is taken.
pub(in crate::store) async fn take_turn(
    connection: &mut Link,
    organization_id: &OrganizationId,
) -> Result<(Uuid, Uuid), Failure> {
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

/// Writes down how far it has come; never back, so that a limit that was made longer looks at nothing again.
async fn save_progress(
    connection: &mut Link,
    organization_id: &OrganizationId,
    bodies: Bodies,
    to: Uuid,
) -> Result<(), Failure> {
    let (messages_to, reactions_to) = match bodies {
        Bodies::Messages => (to, Uuid::nil()),
        Bodies::Reactions => (Uuid::nil(), to),
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

async fn messages(
    connection: &mut Link,
    organization_id: &OrganizationId,
    after: Uuid,
    until: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<Uuid>, Failure> {
    let rows = query!(
        "SELECT id, conversation_id FROM messages
         WHERE organization_id = $1 AND id > $2 AND id < $3
         ORDER BY id
         LIMIT $4",
        organization_id.as_str(),
        after,
        until,
        BATCH,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut conversation_ids: Vec<Uuid> = rows.iter().map(|row| row.conversation_id).collect();
    conversation_ids.sort_unstable();
    conversation_ids.dedup();
    // A message that arrives meanwhile holds its conversation: the condition is looked at again once it lets go, and a
    // preview that is newer by then stays. Neither list moves, and no index covers what changes.
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
        "UPDATE messages SET text = NULL, media = NULL, updated_at = $3
         WHERE organization_id = $1 AND id = ANY ($2) AND (text IS NOT NULL OR media IS NOT NULL)",
        organization_id.as_str(),
        &ids,
        now,
    )
    .execute(connection)
    .await?;
    Ok(ids)
}

async fn reactions(
    connection: &mut Link,
    organization_id: &OrganizationId,
    after: Uuid,
    until: Uuid,
) -> Result<Vec<Uuid>, Failure> {
    let rows = query!(
        "SELECT id FROM reactions
         WHERE organization_id = $1 AND id > $2 AND id < $3
         ORDER BY id
         LIMIT $4",
        organization_id.as_str(),
        after,
        until,
        BATCH,
    )
    .fetch_all(&mut *connection)
    .await?;
    let ids: Vec<Uuid> = rows.into_iter().map(|row| row.id).collect();
    query!(
        "UPDATE reactions SET custom_emoji = NULL
         WHERE organization_id = $1 AND id = ANY ($2) AND custom_emoji IS NOT NULL",
        organization_id.as_str(),
        &ids,
    )
    .execute(connection)
    .await?;
    Ok(ids)
}
