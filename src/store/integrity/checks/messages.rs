//! Invariants of messages and the rows that refer to them.

use uuid::Uuid;

use super::invariant::{
    CheckFuture, Invariant, KeyRange, TableChecks, Violations, range_check, table_checks,
};
use crate::store::DbConnection;

/// No invariant of messages is repairable: no other row holds a message's content, owner or connection.
pub(super) const MESSAGES: TableChecks = table_checks!(
    "messages",
    5_000,
    "SELECT id FROM messages WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    INVARIANTS
);

const INVARIANTS: &[Invariant<KeyRange>] = &[
    range_check!(
        "a message has a conversation, unless that was discarded",
        None,
        "SELECT m.id FROM messages m
         WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3
           AND NOT EXISTS (SELECT FROM conversations c WHERE c.organization_id = $1 AND c.id = m.conversation_id)
           AND NOT EXISTS (SELECT FROM discarded_conversations d
                           WHERE d.organization_id = $1 AND d.conversation_id = m.conversation_id)"
    ),
    range_check!(
        "a message has the identity of its conversation",
        None,
        "SELECT m.id FROM messages m
         JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
         WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3 AND m.agent_identity_id <> c.agent_identity_id"
    ),
    range_check!(
        "the connection of a message has the identity and human of its conversation, and the line of the message",
        None,
        "SELECT m.id FROM messages m
         JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
         LEFT JOIN connections k ON k.organization_id = $1 AND k.id = m.assignment_id
         WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3
           AND (k.agent_identity_id, k.remote_number, k.line_number)
               IS DISTINCT FROM (c.agent_identity_id, c.remote_number, m.line_number)"
    ),
    range_check!(
        "inbound messages are RECEIVED and have a provider message id, outbound messages are never RECEIVED",
        None,
        "SELECT m.id FROM messages m
         WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3
           AND ((m.direction = 1) <> (m.status = 9) OR (m.direction = 1 AND m.provider_message_id IS NULL))"
    ),
    range_check!(
        "only a pending outbound message is in flight",
        None,
        "SELECT m.id FROM messages m
         WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3
           AND m.in_flight_until IS NOT NULL AND (m.direction, m.status) <> (2, 2)"
    ),
    range_check!(
        "an accepted outbound message is found by its provider message id for 7 days",
        None,
        r#"WITH m AS MATERIALIZED (
             SELECT id, line_number, provider_message_id FROM messages
             WHERE organization_id = $1 AND id > $2 AND id <= $3
               AND direction = 2 AND provider_message_id IS NOT NULL AND created_at > $4),
         s AS MATERIALIZED (
             SELECT m.id FROM m
             JOIN sent_messages s ON s.line_number = m.line_number AND s.provider_message_id = m.provider_message_id
                                 AND s.organization_id = $1 AND s.message_id = m.id)
         SELECT m.id AS "id!" FROM m WHERE NOT EXISTS (SELECT FROM s WHERE s.id = m.id)"#,
        findable_since
    ),
    range_check!(
        "an inbound message is stored in one organization only",
        None,
        r#"WITH m AS MATERIALIZED (
             SELECT m.id, m.line_number, m.provider_message_id, c.remote_number FROM messages m
             JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
             WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3 AND m.direction = 1),
         o AS MATERIALIZED (
             SELECT m.id, m.line_number, m.provider_message_id, o.organization_id FROM m
             JOIN routed_organizations o ON o.line_number = m.line_number AND o.remote_number = m.remote_number
                                        AND o.organization_id <> $1)
         SELECT DISTINCT o.id AS "id!" FROM o
         JOIN messages d ON d.organization_id = o.organization_id AND d.line_number = o.line_number
                        AND d.provider_message_id = o.provider_message_id AND d.direction = 1"#
    ),
    range_check!(
        "bodies of messages past retention are redacted",
        None,
        "SELECT m.id FROM messages m
         JOIN retention_progress p ON p.organization_id = $1
         WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3
           AND m.id <= p.messages_to
           AND (m.text IS NOT NULL OR m.media IS NOT NULL OR m.original_text IS NOT NULL)"
    ),
    range_check!(
        "only an edited or retracted message has an original text, and a retracted one has no text and no files",
        None,
        "SELECT m.id FROM messages m
         WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3
           AND ((m.original_text IS NOT NULL AND m.edited_at IS NULL AND m.retracted_at IS NULL)
             OR (m.retracted_at IS NOT NULL AND (m.text IS NOT NULL OR m.media IS NOT NULL)))"
    ),
    range_check!(
        "a reply refers to a message of the same conversation",
        None,
        "SELECT m.id FROM messages m
         LEFT JOIN messages r ON r.organization_id = $1 AND r.id = m.reply_to_message_id
         WHERE m.organization_id = $1 AND m.id > $2 AND m.id <= $3 AND m.reply_to_message_id IS NOT NULL
           AND r.conversation_id IS DISTINCT FROM m.conversation_id
           AND NOT EXISTS (SELECT FROM discarded_conversations d
                           WHERE d.organization_id = $1 AND d.conversation_id = m.conversation_id)"
    ),
    range_check!(
        "an idempotency key refers to a message that its identity sent",
        None,
        "SELECT i.message_id FROM idempotency_keys i
         LEFT JOIN messages m ON m.organization_id = $1 AND m.id = i.message_id
         WHERE i.organization_id = $1 AND i.message_id > $2 AND i.message_id <= $3
           AND (m.agent_identity_id, m.direction) IS DISTINCT FROM (i.agent_identity_id, 2::smallint)"
    ),
];
