//! The read horizon that includes a message.

use sqlx::query;

use crate::domain::{ConversationId, MessageId, OrganizationId, View};
use crate::store::{Affects, Database, StoreError};

/// The running number of the last non-blocked inbound message that had arrived when this inbound message had. `None` if
/// the view has no such inbound message in the conversation.
///
/// A blocked message has no running number. Those of the unread messages before it are compared by id, since ids are in the
/// order of arrival; the number of rows read is that of a list of the unread messages.
pub async fn horizon_of(
    db: &Database,
    organization_id: &OrganizationId,
    view: View,
    id: ConversationId,
    message_id: MessageId,
) -> Result<Option<i32>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query conversations::horizon::horizon_of", |connection| async move {
            let row = query!(
                r#"SELECT coalesce(m.received_number, before.received_number, 0) AS "horizon!"
                   FROM messages m
                   JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                   CROSS JOIN LATERAL (
                       SELECT max(unread.received_number) AS received_number
                       FROM (SELECT u.id, u.received_number FROM messages u
                             WHERE m.is_blocked AND u.organization_id = $1 AND u.conversation_id = c.id
                               AND NOT u.is_blocked AND u.received_number > c.clear_read
                             ORDER BY u.created_at DESC, u.id DESC
                             LIMIT c.clear_received - c.clear_read) unread
                       WHERE unread.id < m.id) before
                   WHERE m.organization_id = $1 AND m.id = $2 AND m.conversation_id = $3 AND m.direction = 1
                     AND CASE WHEN m.is_blocked THEN $4 ELSE $5::boolean END"#,
                organization_id.as_str(),
                message_id.uuid(),
                id.uuid(),
                view.shows(true),
                view.shows(false),
            )
            .fetch_optional(connection)
            .await?;
            Ok(row.map(|row| row.horizon))
        })
        .await
}
