//! Appending messages to their conversations: the only statements that insert messages.
//!
//! A message is inserted together with the summary of its conversation, whose columns hold per view (allowed and
//! blocked) the total and the newest message. The SQL fragment in `append_sql` is the only place that decides which
//! message is the newest; `integrity::repair` recomputes it from scratch.
//!
//! One statement changes both tables, which costs two thirds of two statements in a transaction. Citus refuses that, so
//! that [`append_in_two_steps`] takes one row and two statements.

mod columns;

pub(in crate::store) use columns::{Kind, NewMessage};

use serde_json::Value;
use sqlx::query;
use uuid::Uuid;

use self::columns::{Appended, Columns};
use crate::domain::OrganizationId;
use crate::error::Error;
use crate::store::{DbConnection, StoreError};

/// What to do with a conversation that another transaction has locked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Locked {
    /// Wait for it. There must be exactly one message.
    Wait,
    Skip,
}

/// Passes the update of the summaries to `$run`, as two literals that `query!` can check: up to its conditions, and its
/// conditions with what it returns.
///
/// `IS NOT FALSE` covers a view without a message, whose comparison is NULL. Of two keywords the one that was sent later
/// counts, in whatever order they arrive.
macro_rules! append_sql {
    ($run:ident, $($argument:tt)*) => {
        $run!(
            $($argument)*,
            "UPDATE conversations c SET
                 updated_at = CASE WHEN n.is_blocked THEN updated_at ELSE greatest(updated_at, n.stored_at) END,
                 assignment_messaged = assignment_messaged OR ($12::smallint = 1 AND NOT n.is_blocked),
                 opted_out_at = CASE n.keyword WHEN 1 THEN greatest(opted_out_at, n.sent_at)
                     WHEN 2 THEN CASE WHEN n.sent_at < opted_out_at THEN opted_out_at END
                     ELSE opted_out_at END,
                 latest_at = greatest(latest_at, n.sent_at),
                 blocked_is_latest = CASE
                     WHEN n.is_blocked THEN blocked_is_latest
                         OR ((n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id)) IS NOT FALSE
                     ELSE blocked_is_latest
                         AND (blocked_latest_at, blocked_latest_id) > (n.sent_at, n.message_id) END,
                 clear_total = clear_total + (NOT n.is_blocked)::integer,
                 clear_received = clear_received + ($12::smallint = 1 AND NOT n.is_blocked)::integer,
                 clear_settled = CASE WHEN n.is_blocked THEN clear_settled ELSE clear_read END,
                 clear_settled_at = CASE WHEN n.is_blocked OR clear_settled = clear_read THEN clear_settled_at
                     ELSE clear_latest_at END,
                 clear_latest_id = CASE WHEN NOT n.is_blocked
                     AND ((n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id)) IS NOT FALSE
                     THEN n.message_id ELSE clear_latest_id END,
                 clear_latest_direction = CASE WHEN NOT n.is_blocked
                     AND ((n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id)) IS NOT FALSE
                     THEN $12::smallint ELSE clear_latest_direction END,
                 clear_latest_text = CASE WHEN NOT n.is_blocked
                     AND ((n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id)) IS NOT FALSE
                     THEN n.preview ELSE clear_latest_text END,
                 clear_latest_has_media = CASE WHEN NOT n.is_blocked
                     AND ((n.sent_at, n.message_id) > (clear_latest_at, clear_latest_id)) IS NOT FALSE
                     THEN n.media IS NOT NULL ELSE clear_latest_has_media END,
                 clear_latest_at = CASE WHEN n.is_blocked THEN clear_latest_at
                     ELSE greatest(clear_latest_at, n.sent_at) END,
                 blocked_total = blocked_total + n.is_blocked::integer,
                 blocked_latest_id = CASE WHEN n.is_blocked
                     AND ((n.sent_at, n.message_id) > (blocked_latest_at, blocked_latest_id)) IS NOT FALSE
                     THEN n.message_id ELSE blocked_latest_id END,
                 blocked_latest_text = CASE WHEN n.is_blocked
                     AND ((n.sent_at, n.message_id) > (blocked_latest_at, blocked_latest_id)) IS NOT FALSE
                     THEN n.preview ELSE blocked_latest_text END,
                 blocked_latest_has_media = CASE WHEN n.is_blocked
                     AND ((n.sent_at, n.message_id) > (blocked_latest_at, blocked_latest_id)) IS NOT FALSE
                     THEN n.media IS NOT NULL ELSE blocked_latest_has_media END,
                 blocked_latest_at = CASE WHEN n.is_blocked THEN greatest(blocked_latest_at, n.sent_at)
                     ELSE blocked_latest_at END
             FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::boolean[], $8::text[],
                         $9::text[], $10::jsonb[], $11::timestamptz[], $13::timestamptz[], $14::smallint[],
                         $15::uuid[], $17::smallint[])
                  n (conversation_id, connection_id, message_id, line_number, provider_message_id, is_blocked, text,
                     preview, media, sent_at, stored_at, transport, reply_to, keyword)",
            "c.organization_id = $1 AND c.id = n.conversation_id AND c.assignment_id = n.connection_id
               AND NOT c.assignment_released
               AND ($12::smallint = 1 OR $16::smallint = 2
                 OR (c.assignment_messaged AND c.opted_out_at IS NULL
                     AND (c.closing_until IS NULL OR c.closing_until <= statement_timestamp())))
               AND ($16::smallint = 2
                 OR (SELECT i.imessage_enabled AND n.is_blocked <> CASE i.filter_mode
                         WHEN 1 THEN r.action IS DISTINCT FROM 2 ELSE r.action IS NOT DISTINCT FROM 1 END
                     FROM identities i
                     LEFT JOIN contact_rules r ON r.organization_id = $1 AND r.agent_identity_id = i.id
                                              AND r.match_target = c.remote_number AND r.status = 1
                     WHERE i.organization_id = $1 AND i.id = c.agent_identity_id) IS TRUE)
             RETURNING n.message_id, n.conversation_id, c.agent_identity_id, n.connection_id, n.line_number,
                       n.provider_message_id, n.is_blocked, n.text, n.media, n.transport, n.reply_to, n.sent_at, n.stored_at,
                       CASE WHEN $12::smallint = 1 AND NOT n.is_blocked THEN c.clear_received END
                           AS received_number"
        )
    };
}

/// Appends the rows in one statement, and the events of inbound messages unless the transaction does that. `$lock` and `$select` choose the conversations: those that are not locked, or the
/// only one. The id of the only one is a separate condition, so that PostgreSQL always looks it up by its key, whatever
/// number of messages it plans for.
macro_rules! in_one_statement {
    ($connection:ident, $columns:ident, $lock:literal, $select:literal, $update:literal, $where:literal) => {
        query!(
            "WITH " + $lock + "summary AS (" + $update + " " + $select + " " + $where + "),
             stored AS (
                 INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                                       provider_message_id, direction, received_number, is_blocked, text, media,
                                       send_style, transport, status, created_at, updated_at, in_flight_until,
                                       reply_to_message_id, origin)
                 SELECT $1, message_id, conversation_id, agent_identity_id, connection_id, line_number,
                        provider_message_id, $12, received_number, is_blocked, text, media, $18, transport, $19, sent_at,
                        stored_at, statement_timestamp() + make_interval(secs => $20), reply_to, $16
                 FROM summary
                 RETURNING id, conversation_id, agent_identity_id, is_blocked),
             head AS (
                 INSERT INTO event_logs (organization_id, last_sequence)
                 SELECT $1, count(*) FROM stored WHERE $21 HAVING count(*) > 0
                 ON CONFLICT (organization_id) DO UPDATE SET last_sequence = event_logs.last_sequence + excluded.last_sequence
                 RETURNING last_sequence),
             logged AS (
                 INSERT INTO events (organization_id, sequence, id, type, occurred_at, agent_identity_id,
                                     conversation_id, message_id, is_blocked)
                 SELECT $1, head.last_sequence + 1 - row_number() OVER (), gen_random_uuid(), 1, clock_timestamp(),
                        s.agent_identity_id, s.conversation_id, s.id, s.is_blocked
                 FROM stored s, head)
             SELECT id, conversation_id, agent_identity_id, is_blocked,
                    (SELECT last_sequence FROM head) AS last_sequence
             FROM stored",
            $columns.organization_id,
            &$columns.conversation_ids,
            &$columns.connection_ids,
            &$columns.message_ids,
            &$columns.line_numbers as &[&str],
            &$columns.provider_message_ids as &[Option<&str>],
            &$columns.are_blocked,
            &$columns.texts as &[Option<&str>],
            &$columns.previews as &[Option<&str>],
            &$columns.media as &[Option<Value>],
            &$columns.created_at,
            $columns.direction,
            &$columns.updated_at,
            &$columns.transports,
            &$columns.replies_to as &[Option<Uuid>],
            $columns.origin,
            &$columns.keywords as &[Option<i16>],
            $columns.send_style,
            $columns.status,
            $columns.max_seconds,
            $columns.logs_itself,
        )
        .fetch_all($connection)
        .await?
        .into_iter()
        .map(|row| Appended {
            message_id: row.id,
            conversation_id: row.conversation_id,
            identity_id: row.agent_identity_id,
            is_blocked: row.is_blocked,
            last_sequence: row.last_sequence,
        })
        .collect()
    };
}

/// Updates the summaries and returns what the message needs from them.
macro_rules! update_summary {
    ($connection:ident, $columns:ident, $update:literal, $where:literal) => {
        query!(
            $update + " WHERE c.id = ($2::uuid[])[1] AND " + $where,
            $columns.organization_id,
            &$columns.conversation_ids,
            &$columns.connection_ids,
            &$columns.message_ids,
            &$columns.line_numbers as &[&str],
            &$columns.provider_message_ids as &[Option<&str>],
            &$columns.are_blocked,
            &$columns.texts as &[Option<&str>],
            &$columns.previews as &[Option<&str>],
            &$columns.media as &[Option<Value>],
            &$columns.created_at,
            $columns.direction,
            &$columns.updated_at,
            &$columns.transports,
            &$columns.replies_to as &[Option<Uuid>],
            $columns.origin,
            &$columns.keywords as &[Option<i16>],
        )
        .fetch_optional($connection)
        .await?
    };
}

/// Appends messages to conversations of an organization, and returns the ids of those that were appended. A message is
/// not appended if its connection is not the active one of its conversation, if another message of the call is for the
/// same conversation (an `UPDATE` changes a row once), or if its conversation is locked and was to be skipped.
pub(in crate::store) async fn append(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    kind: Kind,
    locked: Locked,
    messages: Vec<NewMessage<'_>>,
) -> Result<Vec<Uuid>, StoreError> {
    if connection.is_distributed() {
        return append_in_two_steps(connection, organization_id, kind, messages).await;
    }
    if locked == Locked::Wait {
        check_single(&messages)?;
    }
    // A transaction may still lock other rows, which must not happen after the log was locked.
    let logs_itself = matches!(kind, Kind::Inbound) && !connection.is_in_transaction();
    let columns = Columns::new(organization_id, kind, messages, logs_itself);
    let step = &mut *connection;
    let appended: Vec<Appended> = match locked {
        Locked::Skip => append_sql!(
            in_one_statement,
            step,
            columns,
            "free AS MATERIALIZED (
                 SELECT id FROM conversations WHERE organization_id = $1 AND id = ANY($2)
                 FOR NO KEY UPDATE SKIP LOCKED), ",
            "JOIN free ON free.id = n.conversation_id WHERE"
        ),
        Locked::Wait => {
            append_sql!(in_one_statement, step, columns, "", "WHERE c.id = ($2::uuid[])[1] AND")
        }
    };
    if let Some(head) = appended.iter().find_map(|message| message.last_sequence) {
        connection.logged(organization_id, head);
    } else {
        log_events(connection, organization_id, kind, &appended)?;
    }
    Ok(appended.into_iter().map(|message| message.message_id).collect())
}

fn log_events(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    kind: Kind,
    appended: &[Appended],
) -> Result<(), StoreError> {
    appended
        .iter()
        .filter_map(|message| kind.event(message))
        .try_for_each(|event| connection.log_event(organization_id, event))
}

/// The same for one message on a database with Citus, in a transaction. Waits for the conversation.
async fn append_in_two_steps(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    kind: Kind,
    messages: Vec<NewMessage<'_>>,
) -> Result<Vec<Uuid>, StoreError> {
    check_single(&messages)?;
    let columns = Columns::new(organization_id, kind, messages, false);
    if connection.is_in_transaction() {
        return two_steps(connection, organization_id, kind, &columns).await;
    }
    connection.begin().await?;
    let result = two_steps(connection, organization_id, kind, &columns).await;
    connection.end(result).await
}

fn check_single(messages: &[NewMessage<'_>]) -> Result<(), StoreError> {
    if messages.len() == 1 {
        return Ok(());
    }
    tracing::error!(texts = messages.len(), "a statement that takes one message was given another number");
    Err(Error::Internal.into())
}

async fn two_steps(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    kind: Kind,
    columns: &Columns<'_>,
) -> Result<Vec<Uuid>, StoreError> {
    let (step, inserting) = (&mut *connection, columns);
    let summary = append_sql!(update_summary, step, inserting);
    let Some(row) = summary else { return Ok(Vec::new()) };
    query!(
        "INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                               provider_message_id, direction, received_number, is_blocked, text, media, send_style,
                               transport, status, created_at, updated_at, in_flight_until, reply_to_message_id,
                               origin)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                 statement_timestamp() + make_interval(secs => $18), $19, $20)",
        columns.organization_id,
        row.message_id,
        row.conversation_id,
        row.agent_identity_id,
        row.connection_id,
        row.line_number,
        row.provider_message_id,
        columns.direction,
        row.received_number,
        row.is_blocked,
        row.text,
        row.media,
        columns.send_style,
        row.transport,
        columns.status,
        row.sent_at,
        row.stored_at,
        columns.max_seconds,
        row.reply_to,
        columns.origin,
    )
    .execute(&mut *connection)
    .await?;
    let Some(message_id) = row.message_id else { return Ok(Vec::new()) };
    let appended = Appended {
        message_id,
        conversation_id: columns.conversation_ids[0],
        identity_id: row.agent_identity_id,
        is_blocked: columns.are_blocked[0],
        last_sequence: None,
    };
    log_events(connection, organization_id, kind, &[appended])?;
    Ok(vec![message_id])
}
