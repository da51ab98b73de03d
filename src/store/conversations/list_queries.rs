//! The statements of the list of conversations.

use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use sqlx::query_as;
use uuid::Uuid;

use super::columns::ConversationColumns;
use crate::domain::{
    ConversationSummary, Cursor, Direction, IdentityId, Latest, OrganizationId, TimeRange, View,
};
use crate::store::pool::batch::key_index;
use crate::store::{DbConnection, StoreError};

/// What the pages of one statement have in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PageScope {
    pub(super) organization_id: OrganizationId,
    pub(super) view: View,
    pub(super) created: TimeRange,
    /// Whether each page is of one identity.
    pub(super) of_identity: bool,
    pub(super) rows: i64,
    pub(super) offset: i64,
}

/// Where a page starts, and the identity that it is of.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageStart {
    pub(super) after: Cursor,
    pub(super) identity_id: Option<IdentityId>,
}

/// A conversation on a page.
pub(super) struct Row {
    /// The number of its page, from 1, if there are several.
    page: Option<i64>,
    id: Uuid,
    agent_identity_id: Uuid,
    remote_number: String,
    assignment_id: Uuid,
    assignment_released: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    opted_out_at: Option<DateTime<Utc>>,
    latest_at: DateTime<Utc>,
    latest_text: Option<String>,
    latest_direction: i16,
    latest_has_media: bool,
    unread_count: i32,
    total_count: i32,
}

impl TryFrom<Row> for ConversationSummary {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let direction = Direction::from_number(row.latest_direction).ok_or(StoreError::Corrupt {
            table: "conversations",
            column: "clear_latest_direction",
            id: row.id,
        })?;
        Ok(Self {
            conversation: ConversationColumns {
                id: row.id,
                agent_identity_id: row.agent_identity_id,
                remote_number: row.remote_number,
                assignment_id: row.assignment_id,
                assignment_released: row.assignment_released,
                created_at: row.created_at,
                updated_at: row.updated_at,
                opted_out_at: row.opted_out_at,
            }
            .into(),
            latest: Latest {
                text: row.latest_text,
                at: row.latest_at,
                direction,
                has_media: row.latest_has_media,
            },
            unread_count: row.unread_count,
            total_count: row.total_count,
        })
    }
}

/// Adds a row to its page, which reserves space for `max_rows` with its first row.
///
/// # Errors
/// `Corrupt` for a row whose page was not requested.
pub(super) fn push_row(
    row: Row,
    pages: &mut [Result<Vec<ConversationSummary>, StoreError>],
    max_rows: usize,
) -> Result<(), StoreError> {
    let index = key_index(row.page.unwrap_or(1), pages.len());
    let page = index.and_then(|index| pages.get_mut(index));
    let page = page.ok_or(StoreError::Corrupt { table: "conversations", column: "page", id: row.id })?;
    match (ConversationSummary::try_from(row), &mut *page) {
        (Ok(row), Ok(rows)) => {
            if rows.is_empty() {
                rows.reserve_exact(max_rows);
            }
            rows.push(row);
        }
        (Ok(_), Err(_)) => {}
        (Err(error), _) => *page = Err(error),
    }
    Ok(())
}

/// Reads pages of one view. `$at` is the time by which the view is ordered, `$summary` the columns of its summary.
///
/// There are four statements per view: a single page or a batch, of all identities or of one. They are not merged with
/// `$n IS NULL OR ..`, because that defeats the ordered index scan and sorts instead. Each has `$at > '-infinity'`, which
/// repeats the condition of its partial index: PostgreSQL does not derive it from the comparison of the two columns, and
/// would not use the index. The range of `created_at` is a filter on that walk: an index on it would be written with every
/// message, whose time other indexes of the table contain.
macro_rules! rows_of_view {
    ($connection:ident, $scope:ident, $starts:ident, $at:literal, $summary:literal) => {
        match ($starts, $scope.of_identity) {
            ([start], false) => {
                query_as!(
                    Row,
                    "SELECT NULL::bigint AS page, id, agent_identity_id, remote_number, assignment_id,
                            assignment_released, created_at, updated_at, opted_out_at, " + $summary + "
                     FROM conversations
                     WHERE organization_id = $1 AND " + $at + " > '-infinity' AND (" + $at + ", id) < ($2, $3)
                       AND created_at >= $6 AND created_at < $7
                     ORDER BY " + $at + " DESC, id DESC
                     LIMIT $4 OFFSET $5",
                    $scope.organization_id.as_str(),
                    start.after.at,
                    start.after.id,
                    $scope.rows,
                    $scope.offset,
                    $scope.created.start,
                    $scope.created.end,
                )
                .fetch($connection)
            }
            ([start], true) => {
                query_as!(
                    Row,
                    "SELECT NULL::bigint AS page, id, agent_identity_id, remote_number, assignment_id,
                            assignment_released, created_at, updated_at, opted_out_at, " + $summary + "
                     FROM conversations
                     WHERE organization_id = $1 AND agent_identity_id = $8 AND " + $at + " > '-infinity'
                       AND (" + $at + ", id) < ($2, $3) AND created_at >= $6 AND created_at < $7
                     ORDER BY " + $at + " DESC, id DESC
                     LIMIT $4 OFFSET $5",
                    $scope.organization_id.as_str(),
                    start.after.at,
                    start.after.id,
                    $scope.rows,
                    $scope.offset,
                    $scope.created.start,
                    $scope.created.end,
                    start.identity_id.map(IdentityId::uuid),
                )
                .fetch($connection)
            }
            (starts, false) => {
                query_as!(
                    Row,
                    "SELECT page, id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at,
                            updated_at, opted_out_at, \"latest_at!\", \"latest_text?\", \"latest_direction!\",
                            \"latest_has_media!\", \"unread_count!\", \"total_count!\"
                     FROM unnest($2::timestamptz[], $3::uuid[]) WITH ORDINALITY s (after_at, after_id, page)
                     CROSS JOIN LATERAL (
                         SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released,
                                created_at, updated_at, opted_out_at, " + $summary + "
                         FROM conversations
                         WHERE organization_id = $1 AND " + $at + " > '-infinity'
                           AND (" + $at + ", id) < (after_at, after_id)
                           AND created_at >= $6 AND created_at < $7
                         ORDER BY " + $at + " DESC, id DESC
                         LIMIT $4 OFFSET $5) c",
                    $scope.organization_id.as_str(),
                    &times(starts),
                    &ids(starts),
                    $scope.rows,
                    $scope.offset,
                    $scope.created.start,
                    $scope.created.end,
                )
                .fetch($connection)
            }
            (starts, true) => {
                query_as!(
                    Row,
                    "SELECT page, id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at,
                            updated_at, opted_out_at, \"latest_at!\", \"latest_text?\", \"latest_direction!\",
                            \"latest_has_media!\", \"unread_count!\", \"total_count!\"
                     FROM unnest($2::timestamptz[], $3::uuid[], $8::uuid[]) WITH ORDINALITY
                          s (after_at, after_id, of_identity, page)
                     CROSS JOIN LATERAL (
                         SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released,
                                created_at, updated_at, opted_out_at, " + $summary + "
                         FROM conversations
                         WHERE organization_id = $1 AND agent_identity_id = of_identity AND " + $at + " > '-infinity'
                           AND (" + $at + ", id) < (after_at, after_id)
                           AND created_at >= $6 AND created_at < $7
                         ORDER BY " + $at + " DESC, id DESC
                         LIMIT $4 OFFSET $5) c",
                    $scope.organization_id.as_str(),
                    &times(starts),
                    &ids(starts),
                    $scope.rows,
                    $scope.offset,
                    $scope.created.start,
                    $scope.created.end,
                    &identities(starts),
                )
                .fetch($connection)
            }
        }
    };
}

/// The rows of the pages that start at `starts`. The rows of a single page come in order.
pub(super) fn rows<'a>(
    connection: &'a mut DbConnection,
    scope: &'a PageScope,
    starts: &'a [PageStart],
) -> BoxStream<'a, sqlx::Result<Row>> {
    match scope.view {
        View::All => rows_of_view!(
            connection,
            scope,
            starts,
            "latest_at",
            r#"latest_at AS "latest_at!",
               CASE WHEN blocked_is_latest THEN blocked_latest_text
                    ELSE clear_latest_text END AS "latest_text?",
               CASE WHEN blocked_is_latest THEN 1::smallint
                    ELSE clear_latest_direction END AS "latest_direction!",
               CASE WHEN blocked_is_latest THEN blocked_latest_has_media
                    ELSE clear_latest_has_media END AS "latest_has_media!",
               clear_received - clear_read + blocked_total AS "unread_count!",
               clear_total + blocked_total AS "total_count!""#
        ),
        View::Allowed => rows_of_view!(
            connection,
            scope,
            starts,
            "clear_latest_at",
            r#"clear_latest_at AS "latest_at!", clear_latest_text AS "latest_text?",
               clear_latest_direction AS "latest_direction!", clear_latest_has_media AS "latest_has_media!",
               clear_received - clear_read AS "unread_count!", clear_total AS "total_count!""#
        ),
        View::Blocked => rows_of_view!(
            connection,
            scope,
            starts,
            "blocked_latest_at",
            r#"blocked_latest_at AS "latest_at!", blocked_latest_text AS "latest_text?",
               1::smallint AS "latest_direction!", blocked_latest_has_media AS "latest_has_media!",
               blocked_total AS "unread_count!", blocked_total AS "total_count!""#
        ),
        View::Empty => Box::pin(stream::empty()),
    }
}

fn times(starts: &[PageStart]) -> Vec<DateTime<Utc>> {
    starts.iter().map(|start| start.after.at).collect()
}

fn ids(starts: &[PageStart]) -> Vec<Uuid> {
    starts.iter().map(|start| start.after.id).collect()
}

fn identities(starts: &[PageStart]) -> Vec<Uuid> {
    starts.iter().filter_map(|start| start.identity_id).map(IdentityId::uuid).collect()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use uuid::Uuid;

    use super::{Row, push_row};
    use crate::store::StoreError;

    fn on_page(page: Option<i64>) -> Row {
        Row {
            page,
            id: Uuid::from_u128(1),
            agent_identity_id: Uuid::nil(),
            remote_number: "+15551230001".to_owned(),
            assignment_id: Uuid::nil(),
            assignment_released: false,
            created_at: DateTime::<Utc>::UNIX_EPOCH,
            updated_at: DateTime::<Utc>::UNIX_EPOCH,
            opted_out_at: None,
            latest_at: DateTime::<Utc>::UNIX_EPOCH,
            latest_text: None,
            latest_direction: 1,
            latest_has_media: false,
            unread_count: 0,
            total_count: 1,
        }
    }

    #[test]
    fn a_row_of_a_page_that_was_not_requested_is_an_error() {
        let mut pages = vec![Ok(Vec::new()), Ok(Vec::new())];
        for page in [None, Some(1), Some(2)] {
            push_row(on_page(page), &mut pages, 1).expect("a page of the statement");
        }
        assert_eq!(pages.iter().flatten().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
        for page in [0, -1, 3, i64::MIN, i64::MAX] {
            let error = push_row(on_page(Some(page)), &mut pages, 1).expect_err("no such page");
            assert!(matches!(error, StoreError::Corrupt { column: "page", .. }), "{error}");
        }
    }
}
