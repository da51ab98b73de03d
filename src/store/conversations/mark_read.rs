//! Moving the read horizon of a conversation.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use sqlx::query;
use uuid::Uuid;

use crate::domain::{ConversationId, OrganizationId};
use crate::store::pool::batch::{BatchQuery, Outputs};
use crate::store::{Affects, Database, DbConnection, StoreError};

/// Marks as read every non-blocked inbound message up to `horizon` (a running number), and returns how many became read.
/// One row changes, in a column that no index covers, however many messages that are. The horizon never moves back. Zero if
/// the conversation does not exist any more.
pub async fn mark_read(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConversationId,
    horizon: i32,
) -> Result<i32, StoreError> {
    let mark = Mark { id, horizon };
    match db.load::<MarkReadBatch>(organization_id.clone(), mark).await? {
        Marked::Updated(updated) => Ok(updated),
        Marked::Skipped => mark_single(db, organization_id, mark).await,
    }
}

/// A conversation, and how far it was read.
#[derive(Debug, Clone, Copy)]
struct Mark {
    id: ConversationId,
    horizon: i32,
}

enum Marked {
    /// The number of messages that became read.
    Updated(i32),
    /// Another transaction has locked the conversation; nothing was changed.
    Skipped,
}

struct MarkReadBatch;

impl BatchQuery for MarkReadBatch {
    type Scope = OrganizationId;
    type Key = Mark;
    type Output = Marked;

    const SPAN: &'static str = "query conversations::mark_read::mark_read";

    fn affects(organization_id: &OrganizationId) -> Affects {
        Affects::organization(organization_id)
    }

    fn run<'a>(
        connection: &'a mut DbConnection,
        organization_id: &'a OrganizationId,
        marks: &'a [Mark],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(mark_batch(connection, organization_id, marks))
    }
}

/// Skips conversations that another transaction has locked: no request waits for the row of another one, and there is no
/// deadlock with transactions that lock rows in a different order.
async fn mark_batch(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    marks: &[Mark],
) -> Result<Outputs<MarkReadBatch>, StoreError> {
    let max_horizons = max_horizons(marks);
    let ids: Vec<Uuid> = max_horizons.keys().copied().collect();
    let horizons: Vec<i32> = max_horizons.values().copied().collect();
    let rows = query!(
        r#"WITH free AS MATERIALIZED (
               SELECT id FROM conversations WHERE organization_id = $1 AND id = ANY($2)
               FOR NO KEY UPDATE SKIP LOCKED)
           UPDATE conversations c
           SET clear_read_before = clear_read, clear_read = greatest(clear_read, m.horizon)
           FROM unnest($2::uuid[], $3::integer[]) m (id, horizon)
           JOIN free ON free.id = m.id
           WHERE c.organization_id = $1 AND c.id = m.id
           RETURNING c.id, c.clear_read_before"#,
        organization_id.as_str(),
        &ids,
        &horizons,
    )
    .fetch_all(connection)
    .await?;
    let mut horizons: HashMap<Uuid, i32> =
        rows.into_iter().map(|row| (row.id, row.clear_read_before)).collect();
    Ok(marks.iter().map(|mark| Ok(apply_in_order(&mut horizons, mark))).collect())
}

/// The highest horizon of each conversation.
fn max_horizons(marks: &[Mark]) -> HashMap<Uuid, i32> {
    let mut max_horizons = HashMap::with_capacity(marks.len());
    for mark in marks {
        let horizon = max_horizons.entry(mark.id.uuid()).or_insert(mark.horizon);
        *horizon = mark.horizon.max(*horizon);
    }
    max_horizons
}

/// Divides the messages among the marks of one conversation, as if they had been applied one after the other.
fn apply_in_order(horizons: &mut HashMap<Uuid, i32>, mark: &Mark) -> Marked {
    horizons.get_mut(&mark.id.uuid()).map_or(Marked::Skipped, |horizon| {
        let before = std::mem::replace(horizon, mark.horizon.max(*horizon));
        Marked::Updated(*horizon - before)
    })
}

/// Waits for the lock of the conversation.
async fn mark_single(db: &Database, organization_id: &OrganizationId, mark: Mark) -> Result<i32, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query conversations::mark_read::mark_alone", |connection| async move {
            // The right sides read the row as it is once it is locked, so that concurrent marks divide the messages
            // among them and do not count them twice.
            let row = query!(
                r#"UPDATE conversations
                   SET clear_read_before = clear_read, clear_read = greatest(clear_read, $3)
                   WHERE organization_id = $1 AND id = $2
                   RETURNING clear_read - clear_read_before AS "updated!""#,
                organization_id.as_str(),
                mark.id.uuid(),
                mark.horizon,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map_or(0, |row| row.updated))
        })
        .await
}
