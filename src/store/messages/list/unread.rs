//! The list of unread messages.
//!
//! The read horizon of a conversation is in no index (ADR 2), so unread messages are found either through the
//! conversations that may have some, or by a walk along the newest messages. The first page takes the former way, which
//! reads no read message; it stops at the conversations whose newest message is older than the page. Later pages try the
//! latter way first, because every conversation with newer unread messages would have to be passed again.

use super::sql::{in_scope, message_rows};
use super::walk::walk;
use super::{ListRequest, MessageScope, all};
use crate::domain::{Cursor, View};
use crate::store::messages::columns::MessageColumns;
use crate::store::{DbConnection, StoreError};

/// The unread messages of a view. Blocked messages are never read.
pub(super) async fn list(
    connection: &mut DbConnection,
    request: &ListRequest<'_>,
    view: View,
) -> Result<Vec<MessageColumns>, StoreError> {
    if !view.shows(false) {
        return all::list(connection, request, View::Blocked).await;
    }
    if request.after == Cursor::START {
        return first_page(connection, request, view.shows(true)).await;
    }
    if view.shows(true) && request.offset > 0 {
        // Two lists cannot be merged after each has skipped rows of its own.
        return later_page(connection, request, true).await;
    }
    let mut rows = walk(connection, request, false).await?;
    if !request.is_filled_by(&rows) {
        rows = later_page(connection, request, false).await?;
    }
    if view.shows(true) {
        rows.extend(all::list(connection, request, View::Blocked).await?);
        rows.sort_unstable_by_key(|row| std::cmp::Reverse((row.created_at, row.id)));
        // This page skips nothing.
        rows.truncate(usize::try_from(request.limit).unwrap_or(usize::MAX));
    }
    Ok(rows)
}

/// Reads each conversation only to its last unread message, and no message older than `floor`: a page of conversations
/// has newer ones. It is found among twice as many, because a few of the newest conversations may have been answered
/// lately and have an unread message from long ago. (The order of the conversations has no effect but on the plan: it
/// keeps PostgreSQL on the index that serves it.)
async fn first_page(
    connection: &mut DbConnection,
    request: &ListRequest<'_>,
    shows_blocked: bool,
) -> Result<Vec<MessageColumns>, StoreError> {
    macro_rules! rows {
        ($columns:literal, $messages:literal, $conversations:literal, $scope_id:expr) => {
            message_rows!(
                connection,
                request,
                $scope_id,
                ["WITH newest AS MATERIALIZED (
                      SELECT m.created_at
                      FROM conversations c
                      CROSS JOIN LATERAL (
                          SELECT m.created_at FROM messages m
                          WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT m.is_blocked
                            AND m.received_number > c.clear_read
                          ORDER BY m.created_at DESC, m.id DESC
                          LIMIT 1) m
                      WHERE c.organization_id = $1 AND c.clear_received > c.clear_settled
                        AND c.clear_received > c.clear_read AND " + $conversations + "
                      ORDER BY c.clear_latest_at DESC, c.id DESC
                      LIMIT 2 * $5::bigint),
                  floor AS MATERIALIZED (
                      SELECT created_at AS at FROM newest ORDER BY created_at DESC LIMIT 1 OFFSET $5::bigint - 1)
                  (SELECT " + $columns + ", c.remote_number, c.clear_read
                  FROM (SELECT c.id, c.remote_number, c.clear_read, c.clear_received, c.clear_settled, c.clear_settled_at
                        FROM conversations c
                        WHERE c.organization_id = $1 AND c.clear_received > c.clear_settled
                          AND c.clear_received > c.clear_read AND " + $conversations + "
                          AND c.clear_latest_at >= greatest($8, (SELECT at FROM floor))
                        ORDER BY c.clear_latest_at DESC, c.id DESC) c
                  CROSS JOIN LATERAL (
                      SELECT " + $columns + " FROM messages m
                      WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT m.is_blocked
                        AND m.received_number > c.clear_read AND (m.created_at, m.id) < ($3, $4)
                        AND m.created_at >= greatest($8, (SELECT at FROM floor))
                      ORDER BY m.created_at DESC, m.id DESC
                      LIMIT least($5::bigint, c.clear_received - c.clear_read)) m
                  ORDER BY m.created_at DESC, m.id DESC
                  LIMIT $5::bigint)
                  UNION ALL
                  (SELECT " + $columns + ", c.remote_number, c.clear_read
                   FROM messages m
                   JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                   WHERE m.organization_id = $1 AND m.is_blocked AND $9 AND " + $messages + "
                     AND (m.created_at, m.id) < ($3, $4) AND m.created_at >= $8
                   ORDER BY m.created_at DESC, m.id DESC
                   LIMIT $5::bigint)"],
                shows_blocked,
            )
        };
    }
    Ok(in_scope!(request.scope, rows))
}

/// Reads each conversation to its last unread message.
async fn later_page(
    connection: &mut DbConnection,
    request: &ListRequest<'_>,
    shows_blocked: bool,
) -> Result<Vec<MessageColumns>, StoreError> {
    macro_rules! rows {
        ($columns:literal, $messages:literal, $conversations:literal, $scope_id:expr) => {
            message_rows!(
                connection,
                request,
                $scope_id,
                ["(SELECT " + $columns + ", c.remote_number, c.clear_read
                  FROM (SELECT c.id, c.remote_number, c.clear_read, c.clear_received, c.clear_settled, c.clear_settled_at
                        FROM conversations c
                        WHERE c.organization_id = $1 AND c.clear_received > c.clear_settled
                          AND c.clear_received > c.clear_read AND c.clear_latest_at >= $8 AND " + $conversations + "
                        ORDER BY c.clear_latest_at DESC, c.id DESC) c
                  CROSS JOIN LATERAL (
                      SELECT " + $columns + " FROM messages m
                      WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT m.is_blocked
                        AND m.received_number > c.clear_read AND m.created_at >= $8
                      ORDER BY m.created_at DESC, m.id DESC
                      LIMIT c.clear_received - c.clear_read) m
                  WHERE (m.created_at, m.id) < ($3, $4)
                  ORDER BY m.created_at DESC, m.id DESC
                  LIMIT $5::bigint)
                  UNION ALL
                  (SELECT " + $columns + ", c.remote_number, c.clear_read
                   FROM messages m
                   JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                   WHERE m.organization_id = $1 AND m.is_blocked AND $9 AND " + $messages + "
                     AND (m.created_at, m.id) < ($3, $4) AND m.created_at >= $8
                   ORDER BY m.created_at DESC, m.id DESC
                   LIMIT $5::bigint)"],
                shows_blocked,
            )
        };
    }
    Ok(in_scope!(request.scope, rows))
}
