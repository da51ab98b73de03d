//! Adding an outbound message to its conversation.

use sqlx::query;

use super::send::NewOutbound;
use crate::domain::{DeliveryStatus, Direction, SendStyle, Transport, preview};
use crate::error::Error;
use crate::store::database::OPERATION_LIMIT;
use crate::store::{DbConnection, StoreError};

/// Moves the summary with `$update`, which takes the first eight of the parameters, and adds the message: in one statement,
/// but where the database refuses that. The mark counts from the beginning of the statement, by the one clock that all
/// nodes of a distributed database are given.
macro_rules! sum_up_and_add {
    ($connection:ident, $new:ident, $media:ident, $preview:ident, $seconds:ident, $update:literal) => {
        if $connection.is_distributed() {
            let summary = query!(
                $update,
                $new.organization_id.as_str(),
                $new.conversation_id.uuid(),
                $new.assignment_id.uuid(),
                $new.message_id.uuid(),
                Direction::Outbound.number(),
                $media,
                $new.now,
                $preview,
            )
            .fetch_optional(&mut *$connection)
            .await?;
            match summary {
                Some(summary) => {
                    query!(
                        "INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id,
                                               line_number, direction, is_blocked, text, media, send_style, transport,
                                               status, created_at, updated_at, in_flight_until)
                         VALUES ($1, $2, $3, $4, $5, $6, $7, false, $8, $9, $10, $11, $12, $13, $13,
                                 statement_timestamp() + make_interval(secs => $14))",
                        $new.organization_id.as_str(),
                        $new.message_id.uuid(),
                        $new.conversation_id.uuid(),
                        summary.agent_identity_id,
                        $new.assignment_id.uuid(),
                        $new.line_number.as_str(),
                        Direction::Outbound.number(),
                        $new.text,
                        $media,
                        $new.send_style.map_or(0, SendStyle::number),
                        Transport::IMessage.number(),
                        DeliveryStatus::Pending.number(),
                        $new.now,
                        $seconds,
                    )
                    .execute($connection)
                    .await?
                    .rows_affected()
                }
                None => 0,
            }
        } else {
            query!(
                "WITH summary AS (" + $update + ")
                 INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id,
                                       line_number, direction, is_blocked, text, media, send_style, transport, status,
                                       created_at, updated_at, in_flight_until)
                 SELECT $1, $4, $2, agent_identity_id, $3, $9, $5, false, $10, $6, $11, $12, $13, $7, $7,
                        statement_timestamp() + make_interval(secs => $14)
                 FROM summary",
                $new.organization_id.as_str(),
                $new.conversation_id.uuid(),
                $new.assignment_id.uuid(),
                $new.message_id.uuid(),
                Direction::Outbound.number(),
                $media,
                $new.now,
                $preview,
                $new.line_number.as_str(),
                $new.text,
                $new.send_style.map_or(0, SendStyle::number),
                Transport::IMessage.number(),
                DeliveryStatus::Pending.number(),
                $seconds,
            )
            .execute($connection)
            .await?
            .rows_affected()
        }
    };
}

/// Adds the message and moves the summary, while the connection is active, not about to end, and the human has texted
/// on it. In a transaction of the caller's.
pub(super) async fn append(connection: &mut DbConnection, new: &NewOutbound) -> Result<(), StoreError> {
    let media = new.media.as_ref().map(|file| serde_json::json!([file]));
    let preview = new.text.as_deref().map(preview);
    // The statement may wait for the conversation's row before the message is ours to send.
    let seconds = (new.longest + OPERATION_LIMIT).as_secs_f64();
    let added = sum_up_and_add!(
        connection,
        new,
        media,
        preview,
        seconds,
        "UPDATE conversations SET
             updated_at = greatest(updated_at, $7),
             latest_at = greatest(latest_at, $7),
             blocked_is_latest = blocked_is_latest AND (blocked_latest_at, blocked_latest_id) > ($7, $4),
             clear_total = clear_total + 1,
             clear_latest_id = CASE WHEN clear_latest_at IS NULL
                 OR ($7, $4) > (clear_latest_at, clear_latest_id) THEN $4 ELSE clear_latest_id END,
             clear_latest_direction = CASE WHEN clear_latest_at IS NULL
                 OR ($7, $4) > (clear_latest_at, clear_latest_id) THEN $5 ELSE clear_latest_direction END,
             clear_latest_text = CASE WHEN clear_latest_at IS NULL
                 OR ($7, $4) > (clear_latest_at, clear_latest_id) THEN $8 ELSE clear_latest_text END,
             clear_latest_has_media = CASE WHEN clear_latest_at IS NULL
                 OR ($7, $4) > (clear_latest_at, clear_latest_id) THEN $6::jsonb IS NOT NULL
                 ELSE clear_latest_has_media END,
             clear_latest_at = greatest(clear_latest_at, $7)
         WHERE organization_id = $1 AND id = $2 AND assignment_id = $3 AND NOT assignment_released
           AND assignment_messaged AND (closing_until IS NULL OR closing_until <= statement_timestamp())
         RETURNING agent_identity_id"
    );
    if added == 1 { Ok(()) } else { Err(Error::ConnectionReleased.into()) }
}
