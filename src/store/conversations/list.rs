//! The list of conversations, newest message in the view first.

use chrono::{DateTime, Utc};
use sqlx::query_as;
use uuid::Uuid;

use super::Base;
use crate::domain::{
    ConversationSummary, Direction, IdentityId, Latest, OrganizationId, Page, PageRequest, Position, View,
};
use crate::store::{Database, Failure};

struct Row {
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
    type Error = Failure;

    fn try_from(row: Row) -> Result<Self, Failure> {
        let direction = Direction::from_number(row.latest_direction).ok_or(Failure::Corrupt {
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

/// Reads the page of one view: `$at` is the time by which the view is ordered, `$summary` the columns that sum it up.
/// Two statements a view, and not one with options: each is a range of one index, read in its order, and a condition
/// that may or may not apply would turn that into a sort. Each says that the time is later than
/// `-infinity`, as the conditions of the indexes do: PostgreSQL does not see that the comparison of two columns implies
/// it, and would leave those indexes alone.
macro_rules! rows_of_view {
    ($connection:ident, $organization_id:ident, $identity_id:ident, $page:ident, $at:literal, $summary:literal) => {
        match $identity_id {
            None => {
                query_as!(
                    Row,
                    "SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at,
                            updated_at, " + $summary + "
                     FROM conversations
                     WHERE organization_id = $1 AND " + $at + " > '-infinity' AND (" + $at + ", id) < ($2, $3)
                     ORDER BY " + $at + " DESC, id DESC
                     LIMIT $4 OFFSET $5",
                    $organization_id.as_str(),
                    $page.after().at,
                    $page.after().id,
                    $page.rows_to_read(),
                    $page.offset(),
                )
                .fetch_all($connection)
                .await?
            }
            Some(identity_id) => {
                query_as!(
                    Row,
                    "SELECT id, agent_identity_id, remote_number, assignment_id, assignment_released, created_at,
                            updated_at, " + $summary + "
                     FROM conversations
                     WHERE organization_id = $1 AND agent_identity_id = $6 AND " + $at + " > '-infinity'
                       AND (" + $at + ", id) < ($2, $3)
                     ORDER BY " + $at + " DESC, id DESC
                     LIMIT $4 OFFSET $5",
                    $organization_id.as_str(),
                    $page.after().at,
                    $page.after().id,
                    $page.rows_to_read(),
                    $page.offset(),
                    identity_id.uuid(),
                )
                .fetch_all($connection)
                .await?
            }
        }
    };
}

/// The conversations of an organization, of one identity where one is named, that have a message in the view.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    page: &PageRequest,
) -> Result<Page<ConversationSummary>, Failure> {
    let mut reading = db.reading(organization_id).await?;
    let rows = reading
        .run(|connection| async move {
            let rows = match view {
                View::All => rows_of_view!(
                    connection,
                    organization_id,
                    identity_id,
                    page,
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
                View::Clear => rows_of_view!(
                    connection,
                    organization_id,
                    identity_id,
                    page,
                    "clear_latest_at",
                    r#"clear_latest_at AS "latest_at!", clear_latest_text AS "latest_text?",
                       clear_latest_direction AS "latest_direction!", clear_latest_has_media AS "latest_has_media!",
                       clear_received - clear_read AS "unread_count!", clear_total AS "total_count!""#
                ),
                View::Blocked => rows_of_view!(
                    connection,
                    organization_id,
                    identity_id,
                    page,
                    "blocked_latest_at",
                    r#"blocked_latest_at AS "latest_at!", blocked_latest_text AS "latest_text?",
                       1::smallint AS "latest_direction!", blocked_latest_has_media AS "latest_has_media!",
                       blocked_total AS "unread_count!", blocked_total AS "total_count!""#
                ),
                View::Nothing => return Ok(Vec::new()),
            };
            rows.into_iter().map(ConversationSummary::try_from).collect::<Result<Vec<_>, _>>()
        })
        .await?;
    Ok(Page::cut(rows, page.limit, |row| Position { at: row.latest.at, id: row.conversation.id.uuid() }))
}
