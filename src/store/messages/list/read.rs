//! The list of read messages: outbound ones, and inbound ones up to the read horizon of their conversation.

use super::sql::{in_scope, message_rows};
use super::walk::walk;
use super::{ListRequest, MessageScope};
use crate::store::messages::columns::MessageColumns;
use crate::store::{DbConnection, StoreError};

/// The read messages. Most messages are read, so a walk along the newest ones usually fills the page.
pub(super) async fn list(
    connection: &mut DbConnection,
    request: &ListRequest<'_>,
) -> Result<Vec<MessageColumns>, StoreError> {
    let rows = walk(connection, request, true).await?;
    if request.is_filled_by(&rows) { Ok(rows) } else { past_unread(connection, request).await }
}

/// Passes over unread messages: outbound messages have an index of their own, and the inbound ones of a conversation
/// begin at the time that it keeps beside its horizon. As with unread messages, no conversation is read whose newest
/// message is older than those that fill the page.
async fn past_unread(
    connection: &mut DbConnection,
    request: &ListRequest<'_>,
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
                          SELECT CASE WHEN c.clear_read = c.clear_settled THEN least($3::timestamptz, c.clear_settled_at) ELSE $3 END AS at,
                                 CASE WHEN c.clear_read = c.clear_settled AND c.clear_settled_at < $3
                                      THEN 'ffffffff-ffff-ffff-ffff-ffffffffffff' ELSE $4::uuid END AS id) start
                      CROSS JOIN LATERAL (
                          SELECT m.created_at FROM messages m
                          WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT m.is_blocked
                            AND m.received_number <= c.clear_read
                            AND (m.created_at, m.id) < (start.at, start.id)
                          ORDER BY m.created_at DESC, m.id DESC
                          LIMIT 1) m
                      WHERE c.organization_id = $1 AND c.clear_read > 0 AND c.clear_latest_at IS NOT NULL
                        AND " + $conversations + "
                      ORDER BY c.clear_latest_at DESC, c.id DESC
                      LIMIT 2 * $5::bigint),
                  floor AS MATERIALIZED (
                      SELECT created_at AS at FROM newest ORDER BY created_at DESC LIMIT 1 OFFSET $5::bigint - 1)
                  (SELECT " + $columns + ", c.remote_number, c.clear_read
                   FROM (SELECT c.id, c.remote_number, c.clear_read, c.clear_received, c.clear_settled, c.clear_settled_at
                        FROM conversations c
                         WHERE c.organization_id = $1 AND c.clear_read > 0 AND c.clear_latest_at IS NOT NULL
                           AND " + $conversations + "
                           AND c.clear_latest_at >= greatest($8, (SELECT at FROM floor))
                         ORDER BY c.clear_latest_at DESC, c.id DESC) c
                   CROSS JOIN LATERAL (
                       SELECT CASE WHEN c.clear_read = c.clear_settled THEN least($3::timestamptz, c.clear_settled_at) ELSE $3 END AS at,
                              CASE WHEN c.clear_read = c.clear_settled AND c.clear_settled_at < $3
                                   THEN 'ffffffff-ffff-ffff-ffff-ffffffffffff' ELSE $4::uuid END AS id) start
                   CROSS JOIN LATERAL (
                       SELECT " + $columns + " FROM messages m
                       WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT m.is_blocked
                         AND m.received_number <= c.clear_read
                         AND (m.created_at, m.id) < (start.at, start.id)
                         AND m.created_at >= greatest($8, (SELECT at FROM floor))
                       ORDER BY m.created_at DESC, m.id DESC
                       LIMIT $5::bigint) m
                   ORDER BY m.created_at DESC, m.id DESC
                   LIMIT $5::bigint)
                  UNION ALL
                  (SELECT " + $columns + ", c.remote_number, c.clear_read
                   FROM messages m
                   JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                   WHERE m.organization_id = $1 AND m.direction = 2 AND " + $messages + "
                     AND (m.created_at, m.id) < ($3, $4) AND m.created_at >= $8
                   ORDER BY m.created_at DESC, m.id DESC
                   LIMIT $5::bigint)"],
            )
        };
    }
    Ok(in_scope!(request.scope, rows))
}
