//! A walk along the newest messages of a scope, for the filters by read state.

use super::sql::{in_scope, message_rows};
use super::{ListRequest, MessageScope};
use crate::store::messages::columns::MessageColumns;
use crate::store::{DbConnection, StoreError};

/// The read or the unread ones among the non-blocked messages after the cursor, of which it reads a few times as many as the
/// page has rows.
pub(super) async fn walk(
    connection: &mut DbConnection,
    request: &ListRequest<'_>,
    is_read: bool,
) -> Result<Vec<MessageColumns>, StoreError> {
    macro_rules! rows {
        ($columns:literal, $messages:literal, $conversations:literal, $scope_id:expr) => {
            message_rows!(
                connection,
                request,
                $scope_id,
                ["SELECT "
                    + $columns
                    + ", c.remote_number, c.clear_read
                  FROM (SELECT "
                    + $columns
                    + " FROM messages m
                        WHERE m.organization_id = $1 AND NOT m.is_blocked AND "
                    + $messages
                    + "
                          AND (m.created_at, m.id) < ($3, $4) AND m.created_at >= $8
                        ORDER BY m.created_at DESC, m.id DESC
                        LIMIT 4 * $5::bigint) m
                  JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                  WHERE (m.direction = 2 OR m.received_number <= c.clear_read) = $9
                  ORDER BY m.created_at DESC, m.id DESC
                  LIMIT $5::bigint"],
                is_read,
            )
        };
    }
    Ok(in_scope!(request.scope, rows))
}
