//! The statements of the list of conversations.

use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use sqlx::query_as;
use uuid::Uuid;

use super::Base;
use super::list::{Pages, Start};
use crate::domain::{ConversationSummary, Direction, IdentityId, Latest, View};
use crate::store::{DbConnection, StoreError};

/// A conversation on a page.
pub(super) struct Row {
    /// Of several pages, the one that it is on, from 1.
    pub(super) page: Option<i64>,
    id: Uuid,
    agent_identity_id: Uuid,
    remote_number: String,
    assignment_id: Uuid,
    assignment_released: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
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
            conversation: Base {
                id: row.id,
                agent_identity_id: row.agent_identity_id,
                remote_number: row.remote_number,
                assignment_id: row.assignment_id,
                assignment_released: row.assignment_released,
                created_at: row.created_at,
                updated_at: row.updated_at,
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

/// Reads pages of one view: `$at` is the time by which the view is ordered, `$summary` the columns that sum it up.
///
/// A page alone has a statement of its own; several are a loop over it. Statements of their own as well for all
/// identities and for one, and not one with options: each page is a range of one index, read in its order, and a
/// condition that may or may not apply would turn that into a sort. Each says that the time is later than `-infinity`,
/// as the conditions of the indexes do: PostgreSQL does not see that the comparison of two columns implies it, and would
/// leave those indexes alone.
macro_rules! rows_of_view {
    ($link:ident, $pages:ident, $starts:ident, $at:literal, $summary:literal) => {
        match ($starts, $pages.of_identity) {
            ([start], false) => {
                query_as!(
                    Row,
                    "SELECT NULL::bigint AS page, id, agent_identity_id, remote_number, assignment_id,
                            assignment_released, created_at, updated_at, " + $summary + "
                     FROM conversations
                     WHERE organization_id = $1 AND " + $at + " > '-infinity' AND (" + $at + ", id) < ($2, $3)
                     ORDER BY " + $at + " DESC, id DESC
                     LIMIT $4 OFFSET $5",
                    $pages.organization_id.as_str(),
                    start.after.at,
                    start.after.id,
                    $pages.rows,
                    $pages.offset,
                )
                .fetch($link)
            }
            ([start], true) => {
                query_as!(
                    Row,
                    "SELECT NULL::bigint AS page, id, agent_identity_id, remote_number, assignment_id,
                            assignment_released, created_at, updated_at, " + $summary + "
                     FROM conversations
                     WHERE organization_id = $1 AND agent_identity_id = $6 AND " + $at + " > '-infinity'
                       AND (" + $at + ", id) < ($2, $3)
                     ORDER BY " + $at + " DESC, id DESC
                     LIMIT $4 OFFSET $5",
                    $pages.organization_id.as_str(),
                    start.after.at,
                    start.after.id,
                    $pages.rows,
                    $pages.offset,
                    start.identity_id.map(IdentityId::uuid),
                )
                .fetch($link)
            }
            (starts, false) => {
                query_as!(
                    Row,
                    "SELECT page, id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at,
                            updated_at, \"latest_at!\", \"latest_text?\", \"latest_direction!\",
                            \"latest_has_media!\", \"unread_count!\", \"total_count!\"
                     FROM unnest($2::timestamptz[], $3::uuid[]) WITH ORDINALITY s (after_at, after_id, page)
                     CROSS JOIN LATERAL (
                         SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released,
                                created_at, updated_at, " + $summary + "
                         FROM conversations
                         WHERE organization_id = $1 AND " + $at + " > '-infinity'
                           AND (" + $at + ", id) < (after_at, after_id)
                         ORDER BY " + $at + " DESC, id DESC
                         LIMIT $4 OFFSET $5) c",
                    $pages.organization_id.as_str(),
                    &times(starts),
                    &ids(starts),
                    $pages.rows,
                    $pages.offset,
                )
                .fetch($link)
            }
            (starts, true) => {
                query_as!(
                    Row,
                    "SELECT page, id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at,
                            updated_at, \"latest_at!\", \"latest_text?\", \"latest_direction!\",
                            \"latest_has_media!\", \"unread_count!\", \"total_count!\"
                     FROM unnest($2::timestamptz[], $3::uuid[], $6::uuid[]) WITH ORDINALITY
                          s (after_at, after_id, of_identity, page)
                     CROSS JOIN LATERAL (
                         SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released,
                                created_at, updated_at, " + $summary + "
                         FROM conversations
                         WHERE organization_id = $1 AND agent_identity_id = of_identity AND " + $at + " > '-infinity'
                           AND (" + $at + ", id) < (after_at, after_id)
                         ORDER BY " + $at + " DESC, id DESC
                         LIMIT $4 OFFSET $5) c",
                    $pages.organization_id.as_str(),
                    &times(starts),
                    &ids(starts),
                    $pages.rows,
                    $pages.offset,
                    &identities(starts),
                )
                .fetch($link)
            }
        }
    };
}

/// The rows of pages that start where `starts` says. Those of one come in their order.
pub(super) fn rows<'a>(
    link: &'a mut DbConnection,
    pages: &'a Pages,
    starts: &'a [Start],
) -> BoxStream<'a, sqlx::Result<Row>> {
    match pages.view {
        View::All => rows_of_view!(
            link,
            pages,
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
            link,
            pages,
            starts,
            "clear_latest_at",
            r#"clear_latest_at AS "latest_at!", clear_latest_text AS "latest_text?",
               clear_latest_direction AS "latest_direction!", clear_latest_has_media AS "latest_has_media!",
               clear_received - clear_read AS "unread_count!", clear_total AS "total_count!""#
        ),
        View::Blocked => rows_of_view!(
            link,
            pages,
            starts,
            "blocked_latest_at",
            r#"blocked_latest_at AS "latest_at!", blocked_latest_text AS "latest_text?",
               1::smallint AS "latest_direction!", blocked_latest_has_media AS "latest_has_media!",
               blocked_total AS "unread_count!", blocked_total AS "total_count!""#
        ),
        View::Empty => Box::pin(stream::empty()),
    }
}

fn times(starts: &[Start]) -> Vec<DateTime<Utc>> {
    starts.iter().map(|start| start.after.at).collect()
}

fn ids(starts: &[Start]) -> Vec<Uuid> {
    starts.iter().map(|start| start.after.id).collect()
}

fn identities(starts: &[Start]) -> Vec<Uuid> {
    starts.iter().filter_map(|start| start.identity_id).map(IdentityId::uuid).collect()
}
