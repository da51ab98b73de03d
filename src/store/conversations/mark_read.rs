//! Moving the read horizon.

use sqlx::query;

use crate::domain::{ConnectionId, ConversationId, OrganizationId};
use crate::store::{Database, Failure};

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
) -> Result<Option<i32>, Failure> {
    let mut session = db.session_for(organization_id).await?;
    let moved = session
        .run(|connection| async move {
            // Everything on the right is the row as it is once its lock is had, so two marks at the same time share
            // the messages between them instead of both counting them.
            let row = query!(
                r#"UPDATE conversations
                   SET clear_read_before = clear_read, clear_read = greatest(clear_read, $4)
                   WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
                   RETURNING clear_read - clear_read_before AS "updated!""#,
                organization_id.as_str(),
                id.uuid(),
                assignment_id.uuid(),
                horizon,
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| row.updated))
        })
        .await?;
    Ok(moved)
}
