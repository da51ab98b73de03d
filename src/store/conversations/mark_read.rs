//! Moving the read horizon.

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use sqlx::query;
use uuid::Uuid;

use crate::domain::{ConnectionId, ConversationId, OrganizationId};
use crate::store::gathered::{Answers, Shared};
use crate::store::session::traced;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// Turns read every non-blocked inbound message up to `horizon` (a running number), and returns how many that were.
/// One row changes, in a column that no index covers, however many messages are meant. The horizon never moves back.
///
/// `None` when the connection is no longer the conversation's active one: nothing was changed.
pub async fn mark_read(
    db: &Database,
    organization_id: &OrganizationId,
    id: ConversationId,
    assignment_id: ConnectionId,
    horizon: i32,
) -> Result<Option<i32>, StoreError> {
    let mark = Mark { id, assignment_id, horizon };
    let marking = db.shared.marks.ask(db, organization_id.clone(), mark);
    match traced("query conversations::mark_read::mark_read", marking).await? {
        Marked::Updated(updated) => Ok(Some(updated)),
        Marked::PassedOver => mark_alone(db, organization_id, mark).await,
    }
}

/// A conversation, while this is its active connection, read so far.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Mark {
    id: ConversationId,
    assignment_id: ConnectionId,
    horizon: i32,
}

/// What became of a mark among others.
pub(in crate::store) enum Marked {
    /// So many messages turned read.
    Updated(i32),
    /// Another transaction has the conversation, or the connection is not its active one: nothing was changed.
    PassedOver,
}

/// Marks in an organization.
pub(in crate::store) struct MarkRead;

impl Shared for MarkRead {
    type Group = OrganizationId;
    type Item = Mark;
    type Answer = Marked;

    fn affects(organization_id: &OrganizationId) -> Affects {
        Affects::organization(organization_id)
    }

    fn run<'a>(
        link: &'a mut DbConnection,
        organization_id: &'a OrganizationId,
        marks: &'a [Mark],
    ) -> BoxFuture<'a, Result<Answers<Self>, StoreError>> {
        Box::pin(mark_together(link, organization_id, marks))
    }
}

/// Passes over conversations that another transaction has: nobody waits for a row of somebody else's, and transactions
/// that take rows in another order meet no deadlock.
async fn mark_together(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    marks: &[Mark],
) -> Result<Answers<MarkRead>, StoreError> {
    let farthest = farthest(marks);
    let ids: Vec<Uuid> = farthest.keys().map(|(id, _)| *id).collect();
    let connections: Vec<Uuid> = farthest.keys().map(|(_, connection)| *connection).collect();
    let horizons: Vec<i32> = farthest.values().copied().collect();
    let rows = query!(
        r#"WITH free AS MATERIALIZED (
               SELECT id FROM conversations WHERE organization_id = $1 AND id = ANY($2)
               FOR NO KEY UPDATE SKIP LOCKED)
           UPDATE conversations c
           SET clear_read_before = clear_read, clear_read = greatest(clear_read, m.horizon)
           FROM unnest($2::uuid[], $3::uuid[], $4::integer[]) m (id, assignment_id, horizon)
           JOIN free ON free.id = m.id
           WHERE c.organization_id = $1 AND c.id = m.id AND c.assignment_id = m.assignment_id
                 AND NOT c.assignment_released
           RETURNING c.id, c.assignment_id, c.clear_read_before"#,
        organization_id.as_str(),
        &ids,
        &connections,
        &horizons,
    )
    .fetch_all(link)
    .await?;
    let mut read: HashMap<(Uuid, Uuid), i32> =
        rows.into_iter().map(|row| ((row.id, row.assignment_id), row.clear_read_before)).collect();
    Ok(marks.iter().map(|mark| Ok(one_after_the_other(&mut read, mark))).collect())
}

/// How far each conversation is to be read, in whatever order.
fn farthest(marks: &[Mark]) -> HashMap<(Uuid, Uuid), i32> {
    let mut farthest = HashMap::with_capacity(marks.len());
    for mark in marks {
        let horizon = farthest.entry(mark.key()).or_insert(mark.horizon);
        *horizon = mark.horizon.max(*horizon);
    }
    farthest
}

/// Marks of one conversation share the messages between them, as if one had come after the other.
fn one_after_the_other(read: &mut HashMap<(Uuid, Uuid), i32>, mark: &Mark) -> Marked {
    read.get_mut(&mark.key()).map_or(Marked::PassedOver, |read| {
        let before = std::mem::replace(read, mark.horizon.max(*read));
        Marked::Updated(*read - before)
    })
}

impl Mark {
    fn key(&self) -> (Uuid, Uuid) {
        (self.id.uuid(), self.assignment_id.uuid())
    }
}

/// Waits for the conversation, and then decides.
async fn mark_alone(
    db: &Database,
    organization_id: &OrganizationId,
    mark: Mark,
) -> Result<Option<i32>, StoreError> {
    let mut session = db.acquire(Affects::organization(organization_id)).await?;
    session
        .run("query conversations::mark_read::mark_alone", |connection| async move {
            // Everything on the right is the row as it is once its lock is had, so two marks at the same time share
            // the messages between them instead of both counting them.
            let row = query!(
                r#"UPDATE conversations
                   SET clear_read_before = clear_read, clear_read = greatest(clear_read, $4)
                   WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
                   RETURNING clear_read - clear_read_before AS "updated!""#,
                organization_id.as_str(),
                mark.id.uuid(),
                mark.assignment_id.uuid(),
                mark.horizon,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| row.updated))
        })
        .await
}
