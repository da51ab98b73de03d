//! Moving the read horizon of a conversation.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use sqlx::query;
use uuid::Uuid;

use crate::domain::{ConversationId, NewEvent, OrganizationId};
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
    let rows = if connection.is_distributed() {
        mark_in_transaction(connection, organization_id, &ids, &horizons).await?
    } else {
        mark_in_one_statement(connection, organization_id, &ids, &horizons).await?
    };
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

/// A conversation that was marked.
struct MarkedRow {
    id: Uuid,
    clear_read_before: i32,
}

/// Moves the horizons of conversations that are not locked. `$end` is what follows the statement.
macro_rules! mark_free {
    ($begin:literal, $end:literal, $connection:expr, $organization_id:expr, $ids:expr, $horizons:expr) => {
        query!(
            "WITH free AS MATERIALIZED (
                 SELECT id FROM conversations WHERE organization_id = $1 AND id = ANY($2)
                 FOR NO KEY UPDATE SKIP LOCKED)"
                + $begin
                + "UPDATE conversations c
             SET clear_read_before = clear_read, clear_read = greatest(clear_read, m.horizon)
             FROM unnest($2::uuid[], $3::integer[]) m (id, horizon)
             JOIN free ON free.id = m.id
             WHERE c.organization_id = $1 AND c.id = m.id
             RETURNING c.id, c.agent_identity_id, c.clear_read_before, c.clear_read, c.clear_received"
                + $end,
            $organization_id.as_str(),
            $ids,
            $horizons,
        )
        .fetch_all($connection)
        .await?
    };
}

/// With its events, so that marks of the same moment share one commit.
async fn mark_in_one_statement(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    ids: &[Uuid],
    horizons: &[i32],
) -> Result<Vec<MarkedRow>, StoreError> {
    let rows = mark_free!(
        ", marked AS (",
        "), head AS (
             INSERT INTO event_logs (organization_id, last_sequence)
             SELECT $1, count(*) FROM marked WHERE clear_read > clear_read_before HAVING count(*) > 0
             ON CONFLICT (organization_id) DO UPDATE SET last_sequence = event_logs.last_sequence + excluded.last_sequence
             RETURNING last_sequence),
         logged AS (
             INSERT INTO events (organization_id, sequence, id, type, occurred_at, agent_identity_id, conversation_id,
                                 is_blocked, updated_count, unread_count)
             SELECT $1, head.last_sequence + 1 - row_number() OVER (), gen_random_uuid(), 9, clock_timestamp(),
                    m.agent_identity_id, m.id, false, m.clear_read - m.clear_read_before,
                    m.clear_received - m.clear_read
             FROM marked m, head
             WHERE m.clear_read > m.clear_read_before)
         SELECT id, clear_read_before, (SELECT last_sequence FROM head) AS last_sequence FROM marked",
        &mut *connection,
        organization_id,
        ids,
        horizons
    );
    if let Some(head) = rows.iter().find_map(|row| row.last_sequence) {
        connection.logged(organization_id, head);
    }
    Ok(rows
        .into_iter()
        .map(|row| MarkedRow { id: row.id, clear_read_before: row.clear_read_before })
        .collect())
}

/// The same on a database with Citus.
async fn mark_in_transaction(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    ids: &[Uuid],
    horizons: &[i32],
) -> Result<Vec<MarkedRow>, StoreError> {
    connection.begin().await?;
    let marked = async {
        let rows = mark_free!(" ", "", &mut *connection, organization_id, ids, horizons);
        for row in &rows {
            if row.clear_read > row.clear_read_before {
                let event = NewEvent::of_reading(
                    row.agent_identity_id.into(),
                    row.id.into(),
                    row.clear_read - row.clear_read_before,
                    row.clear_received - row.clear_read,
                );
                connection.log_event(organization_id, event)?;
            }
        }
        Ok(rows
            .into_iter()
            .map(|row| MarkedRow { id: row.id, clear_read_before: row.clear_read_before })
            .collect())
    };
    let result = marked.await;
    connection.end(result).await
}

/// Waits for the lock of the conversation.
async fn mark_single(db: &Database, organization_id: &OrganizationId, mark: Mark) -> Result<i32, StoreError> {
    let owner = organization_id.clone();
    // The horizon and its event must agree.
    db.transaction(
        Affects::organization(organization_id),
        "transaction conversations::mark_read::mark_alone",
        move |connection| {
            let organization_id = owner.clone();
            Box::pin(async move { mark_locked(connection, &organization_id, mark).await })
        },
    )
    .await
}

async fn mark_locked(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    mark: Mark,
) -> Result<i32, StoreError> {
    // The right sides read the row as it is once it is locked, so that concurrent marks divide the messages among them
    // and do not count them twice.
    let row = query!(
        r#"UPDATE conversations
           SET clear_read_before = clear_read, clear_read = greatest(clear_read, $3)
           WHERE organization_id = $1 AND id = $2
           RETURNING agent_identity_id, clear_read - clear_read_before AS "updated!",
                     clear_received - clear_read AS "unread!""#,
        organization_id.as_str(),
        mark.id.uuid(),
        mark.horizon,
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(0) };
    if row.updated > 0 {
        let event = NewEvent::of_reading(row.agent_identity_id.into(), mark.id, row.updated, row.unread);
        connection.log_event(organization_id, event)?;
    }
    Ok(row.updated)
}
