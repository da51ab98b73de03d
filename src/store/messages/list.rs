//! The list of messages, newest first.

use std::pin::pin;

use futures_util::{Stream, TryStreamExt as _};
use sqlx::query_as;

use super::columns::{MessageColumns, add_reactions};
use crate::domain::{
    ConversationId, Cursor, IdentityId, MAX_RESPONSE_BYTES, Message, OrganizationId, Page, PageRequest, View,
};
use crate::error::Error;
use crate::store::{Database, StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageScope {
    Organization,
    Identity(IdentityId),
    Conversation(ConversationId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFilter {
    pub view: View,
    /// `None` selects both read and unread messages.
    pub is_read: Option<bool>,
}

/// Reads a page of one scope. `$messages` and `$conversations` are the conditions of the scope on either table.
///
/// Allowed and blocked messages are two ranges of an index. Each is read in order and only as far as the page needs, so
/// that the page is selected from at most twice its rows. Unread messages are found through the conversations that have
/// any, and each of these is read only to its last unread message: the first page reads no read message, however many
/// there are.
macro_rules! rows_of_scope {
    ($connection:ident, $organization_id:ident, $filter:ident, $page:ident, $messages:literal, $conversations:literal,
     $scope_id:expr) => {
        if $filter.is_read == Some(false) {
            let rows = query_as!(
                MessageColumns,
                r#"SELECT id AS "id!", conversation_id AS "conversation_id!", assignment_id AS "assignment_id!",
                          direction AS "direction!", received_number, is_blocked AS "is_blocked!", text, media,
                          send_style AS "send_style!", transport AS "transport!", status AS "status!", error_code,
                          error_message, was_downgraded AS "was_downgraded!", created_at AS "created_at!",
                          updated_at AS "updated_at!", remote_number AS "remote_number!", clear_read AS "clear_read!"
                   FROM (
                       (SELECT m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number,
                               m.is_blocked, m.text, m.media, m.send_style, m.transport, m.status, m.error_code,
                               m.error_message, m.was_downgraded, m.created_at, m.updated_at, c.remote_number,
                               c.clear_read
                        FROM conversations c
                        CROSS JOIN LATERAL (
                            SELECT m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number,
                                   m.is_blocked, m.text, m.media, m.send_style, m.transport, m.status, m.error_code,
                                   m.error_message, m.was_downgraded, m.created_at, m.updated_at
                            FROM messages m
                            WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT m.is_blocked
                              AND m.received_number > c.clear_read AND (m.created_at, m.id) < ($2, $3)
                            ORDER BY m.created_at DESC, m.id DESC
                            LIMIT least($4::bigint + $5::bigint, c.clear_received - c.clear_read)
                        ) m
                        WHERE c.organization_id = $1 AND c.clear_received > c.clear_read AND $6
                          AND "# + $conversations + r#"
                        ORDER BY m.created_at DESC, m.id DESC
                        LIMIT $4::bigint + $5::bigint)
                       UNION ALL
                       (SELECT m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number,
                               m.is_blocked, m.text, m.media, m.send_style, m.transport, m.status, m.error_code,
                               m.error_message, m.was_downgraded, m.created_at, m.updated_at, c.remote_number,
                               c.clear_read
                        FROM messages m
                        JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                        WHERE m.organization_id = $1 AND m.is_blocked AND $7 AND "# + $messages + r#"
                          AND (m.created_at, m.id) < ($2, $3)
                        ORDER BY m.created_at DESC, m.id DESC
                        LIMIT $4::bigint + $5::bigint)
                   ) page
                   ORDER BY created_at DESC, id DESC
                   LIMIT $4::bigint OFFSET $5::bigint"#,
                $organization_id.as_str(),
                $page.after().at,
                $page.after().id,
                $page.fetch_limit(),
                $page.offset(),
                $filter.view.shows(false),
                $filter.view.shows(true),
                $scope_id,
            )
            .fetch(&mut *$connection);
            rows_of_page(rows, text_bytes).await?
        } else {
            let rows = query_as!(
                MessageColumns,
                r#"SELECT id AS "id!", conversation_id AS "conversation_id!", assignment_id AS "assignment_id!",
                          direction AS "direction!", received_number, is_blocked AS "is_blocked!", text, media,
                          send_style AS "send_style!", transport AS "transport!", status AS "status!", error_code,
                          error_message, was_downgraded AS "was_downgraded!", created_at AS "created_at!",
                          updated_at AS "updated_at!", remote_number AS "remote_number!", clear_read AS "clear_read!"
                   FROM (
                       (SELECT m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number,
                               m.is_blocked, m.text, m.media, m.send_style, m.transport, m.status, m.error_code,
                               m.error_message, m.was_downgraded, m.created_at, m.updated_at, c.remote_number,
                               c.clear_read
                        FROM messages m
                        JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                        WHERE m.organization_id = $1 AND NOT m.is_blocked AND $6 AND "# + $messages + r#"
                          AND (m.created_at, m.id) < ($2, $3)
                          AND (NOT $9 OR m.direction = 2 OR m.received_number <= c.clear_read)
                        ORDER BY m.created_at DESC, m.id DESC
                        LIMIT $4::bigint + $5::bigint)
                       UNION ALL
                       (SELECT m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number,
                               m.is_blocked, m.text, m.media, m.send_style, m.transport, m.status, m.error_code,
                               m.error_message, m.was_downgraded, m.created_at, m.updated_at, c.remote_number,
                               c.clear_read
                        FROM messages m
                        JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                        WHERE m.organization_id = $1 AND m.is_blocked AND $7 AND NOT $9 AND "# + $messages + r#"
                          AND (m.created_at, m.id) < ($2, $3)
                        ORDER BY m.created_at DESC, m.id DESC
                        LIMIT $4::bigint + $5::bigint)
                   ) page
                   ORDER BY created_at DESC, id DESC
                   LIMIT $4::bigint OFFSET $5::bigint"#,
                $organization_id.as_str(),
                $page.after().at,
                $page.after().id,
                $page.fetch_limit(),
                $page.offset(),
                $filter.view.shows(false),
                $filter.view.shows(true),
                $scope_id,
                $filter.is_read == Some(true),
            )
            .fetch(&mut *$connection);
            rows_of_page(rows, text_bytes).await?
        }
    };
}

/// The messages of a scope that pass the filter, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    scope: MessageScope,
    filter: MessageFilter,
    page: &PageRequest,
) -> Result<Page<Message>, StoreError> {
    let mut session = db.read(organization_id).await?;
    session
        .run("query messages::list::list", |connection| async move {
            let rows = match scope {
                MessageScope::Organization => rows_of_scope!(
                    connection,
                    organization_id,
                    filter,
                    page,
                    // As in the condition of the index: see migrations/0001_initial.sql.
                    "m.created_at > '-infinity' AND $8::uuid IS NULL",
                    "$8::uuid IS NULL",
                    None::<uuid::Uuid>
                ),
                MessageScope::Identity(id) => rows_of_scope!(
                    connection,
                    organization_id,
                    filter,
                    page,
                    "m.agent_identity_id = $8",
                    "c.agent_identity_id = $8",
                    id.uuid()
                ),
                MessageScope::Conversation(id) => rows_of_scope!(
                    connection,
                    organization_id,
                    filter,
                    page,
                    "m.conversation_id = $8",
                    "c.id = $8",
                    id.uuid()
                ),
            };
            let messages = rows.into_iter().map(Message::try_from).collect::<Result<Vec<_>, _>>()?;
            let mut page = Page::from_overfetch(messages, page.limit, |row| Cursor {
                at: row.created_at,
                id: row.id.uuid(),
            });
            add_reactions(connection, organization_id, &mut page.rows).await?;
            Ok(page)
        })
        .await
}

fn text_bytes(row: &MessageColumns) -> usize {
    row.text.as_ref().map_or(0, String::len)
}

/// Collects rows, and keeps no more of them than a response may have: a page of 200 of the longest texts would take 15 MiB
/// of each session, only to be rejected. The other rows are read all the same, so that the connection can be used again.
///
/// # Errors
/// `TooLarge` if the response would be too large, even without the row that only tells whether there is another page.
async fn rows_of_page<T>(
    rows: impl Stream<Item = Result<T, sqlx::Error>>,
    size_of: impl Fn(&T) -> usize,
) -> Result<Vec<T>, StoreError> {
    let mut rows = pin!(rows);
    let (mut kept, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        if bytes > MAX_RESPONSE_BYTES {
            kept.clear();
        } else {
            bytes += size_of(&row);
            kept.push(row);
        }
    }
    if kept.is_empty() && bytes > 0 {
        return Err(Error::TooLarge { what: "response", limit: MAX_RESPONSE_BYTES }.into());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use futures_util::stream::iter;

    use super::{MAX_RESPONSE_BYTES, rows_of_page};
    use crate::error::Error;
    use crate::store::StoreError;

    #[tokio::test]
    async fn a_page_that_is_too_large_is_refused_and_its_last_row_may_be_of_any_size() {
        for (sizes, is_accepted) in [
            (vec![], true),
            (vec![0, 0], true),
            (vec![MAX_RESPONSE_BYTES, 1], true),
            (vec![1, MAX_RESPONSE_BYTES, 1], false),
            (vec![MAX_RESPONSE_BYTES + 1, 1, 1], false),
        ] {
            let rows = iter(sizes.clone()).map(Ok);
            let page = rows_of_page(rows, |size| *size).await;
            match page {
                Ok(page) => assert!(is_accepted && page == sizes, "{sizes:?}"),
                Err(StoreError::Refused(Error::TooLarge { .. })) => assert!(!is_accepted, "{sizes:?}"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}
