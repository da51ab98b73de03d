//! The rows that an event refers to, as they are when it is read.

use futures_util::future::BoxFuture;
use sqlx::query;
use uuid::Uuid;

use super::read::LoggedEvent;
use crate::domain::{Connection, Message, OrganizationId, Reaction};
use crate::store::pool::batch::{BatchQuery, Outputs};
use crate::store::reactions::ReactionRow;
use crate::store::{Database, DbConnection, StoreError, connections, messages};

/// The rows of an event; `None` for those that it does not refer to, and those that were deleted.
#[derive(Debug, Clone, Default)]
pub struct SubjectRows {
    pub message: Option<Message>,
    /// Also if it was removed.
    pub reaction: Option<Reaction>,
    pub connection: Option<Connection>,
}

/// Reads the rows of an event, in one statement for each table with other events of the same moment.
pub async fn subject(
    db: &Database,
    organization_id: &OrganizationId,
    event: &LoggedEvent,
) -> Result<SubjectRows, StoreError> {
    let ids = event.subject_ids();
    if ids == (None, None, None) {
        return Ok(SubjectRows::default());
    }
    db.load::<SubjectBatch>(organization_id.clone(), ids).await
}

struct SubjectBatch;

impl BatchQuery for SubjectBatch {
    type Scope = OrganizationId;
    /// Message, reaction, connection.
    type Key = (Option<Uuid>, Option<Uuid>, Option<Uuid>);
    type Output = SubjectRows;

    const SPAN: &'static str = "query events::subject";

    fn run<'a>(
        connection: &'a mut DbConnection,
        organization_id: &'a OrganizationId,
        keys: &'a [Self::Key],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(async move {
            let message_ids = distinct(keys.iter().filter_map(|key| key.0));
            let reaction_ids = distinct(keys.iter().filter_map(|key| key.1));
            let connection_ids = distinct(keys.iter().filter_map(|key| key.2));
            let messages = messages::by_ids(connection, organization_id, &message_ids).await?;
            let reactions = reactions_by_ids(connection, organization_id, &reaction_ids).await?;
            let connections = connections::by_ids(connection, organization_id, &connection_ids).await?;
            // A batch has at most 64 ids, so that a search per id costs less than a map.
            let rows = keys.iter().map(|(message, reaction, connection)| SubjectRows {
                message: messages.iter().find(|row| Some(row.id.uuid()) == *message).cloned(),
                reaction: reactions.iter().find(|row| Some(row.id.uuid()) == *reaction).cloned(),
                connection: connections.iter().find(|row| Some(row.id.uuid()) == *connection).cloned(),
            });
            Ok(rows.map(Ok).collect())
        })
    }
}

/// Reactions by id, removed ones as well, without those that do not exist.
async fn reactions_by_ids(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<Reaction>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query!(
        "SELECT r.id, r.conversation_id, r.message_id, r.direction, r.reaction, r.custom_emoji, r.part_index,
                r.created_at, r.removed_at, r.updated_at, c.remote_number
         FROM reactions r
         JOIN conversations c ON c.organization_id = $1 AND c.id = r.conversation_id
         WHERE r.organization_id = $1 AND r.id = ANY ($2)",
        organization_id.as_str(),
        ids,
    )
    .fetch_all(connection)
    .await?;
    let reactions = rows.into_iter().map(|row| {
        let reaction = ReactionRow {
            id: row.id,
            conversation_id: row.conversation_id,
            message_id: row.message_id,
            direction: row.direction,
            reaction: row.reaction,
            custom_emoji: row.custom_emoji,
            part_index: row.part_index,
            created_at: row.created_at,
            removed_at: row.removed_at,
            updated_at: row.updated_at,
        };
        reaction.reaction(row.remote_number.into())
    });
    reactions.collect()
}

fn distinct(ids: impl Iterator<Item = Uuid>) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
