//! The list of read and unread messages.

use super::sql::{in_scope, message_rows};
use super::{ListRequest, MessageScope};
use crate::domain::View;
use crate::store::messages::columns::MessageColumns;
use crate::store::{DbConnection, StoreError};

/// Allowed and blocked messages are two ranges of an index. Each is read in order and only as far as the page needs, so
/// that the page is selected from at most twice its rows.
pub(super) async fn list(
    connection: &mut DbConnection,
    request: &ListRequest<'_>,
    view: View,
) -> Result<Vec<MessageColumns>, StoreError> {
    macro_rules! rows {
        ($columns:literal, $messages:literal, $conversations:literal, $scope_id:expr) => {
            message_rows!(
                connection,
                request,
                $scope_id,
                ["(SELECT "
                    + $columns
                    + ", c.remote_number, c.clear_read
                   FROM messages m
                   JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                   WHERE m.organization_id = $1 AND NOT m.is_blocked AND $9 AND "
                    + $messages
                    + "
                     AND (m.created_at, m.id) < ($3, $4) AND m.created_at >= $8
                   ORDER BY m.created_at DESC, m.id DESC
                   LIMIT $5::bigint)
                  UNION ALL
                  (SELECT "
                    + $columns
                    + ", c.remote_number, c.clear_read
                   FROM messages m
                   JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                   WHERE m.organization_id = $1 AND m.is_blocked AND $10 AND "
                    + $messages
                    + "
                     AND (m.created_at, m.id) < ($3, $4) AND m.created_at >= $8
                   ORDER BY m.created_at DESC, m.id DESC
                   LIMIT $5::bigint)"],
                view.shows(false),
                view.shows(true),
            )
        };
    }
    Ok(in_scope!(request.scope, rows))
}
