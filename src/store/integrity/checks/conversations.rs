//! Invariants of conversations, whose rows are derived from messages and connections.

use uuid::Uuid;

use super::invariant::{
    CheckFuture, Invariant, KeyRange, Repair, TableChecks, Violations, range_check, table_checks,
};
use crate::store::DbConnection;

/// Few rows per batch, because each conversation may have many messages.
pub(super) const CONVERSATIONS: TableChecks = table_checks!(
    "conversations",
    200,
    "SELECT id FROM conversations WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    INVARIANTS
);

const INVARIANTS: &[Invariant<KeyRange>] = &[
    range_check!(
        "a conversation has at least one message",
        None,
        "SELECT c.id FROM conversations c
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND NOT EXISTS (SELECT FROM messages m WHERE m.organization_id = $1 AND m.conversation_id = c.id)"
    ),
    range_check!(
        "the counters of a conversation match its messages",
        Some(Repair::Conversation),
        "SELECT c.id FROM conversations c
         CROSS JOIN LATERAL (
             SELECT count(*) FILTER (WHERE NOT is_blocked) AS clear, count(*) FILTER (WHERE is_blocked) AS blocked,
                    count(*) FILTER (WHERE NOT is_blocked AND direction = 1) AS received
             FROM messages m WHERE m.organization_id = $1 AND m.conversation_id = c.id) m
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND (c.clear_total, c.blocked_total, c.clear_received) <> (m.clear, m.blocked, m.received)"
    ),
    // A preview is shorter where the 257th character belongs to the same written character as those before it.
    range_check!(
        "the previews of a conversation match the newest message of each view",
        Some(Repair::Conversation),
        "SELECT c.id FROM conversations c
         LEFT JOIN LATERAL (
             SELECT id, created_at, direction, left(text, 257) AS text, media IS NOT NULL AS has_media FROM messages m
             WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT is_blocked
             ORDER BY created_at DESC, id DESC LIMIT 1) l ON true
         LEFT JOIN LATERAL (
             SELECT id, created_at, left(text, 257) AS text, media IS NOT NULL AS has_media FROM messages m
             WHERE m.organization_id = $1 AND m.conversation_id = c.id AND is_blocked
             ORDER BY created_at DESC, id DESC LIMIT 1) b ON true
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND ((c.clear_latest_id, c.clear_latest_at, c.clear_latest_direction, c.clear_latest_has_media)
                IS DISTINCT FROM (l.id, l.created_at, l.direction, l.has_media)
             OR (c.clear_latest_text IS DISTINCT FROM left(l.text, 256)
                 AND (length(l.text) > 256 AND length(c.clear_latest_text) BETWEEN 1 AND 255
                      AND starts_with(l.text, c.clear_latest_text)) IS NOT TRUE)
             OR (c.blocked_latest_id, c.blocked_latest_at, c.blocked_latest_has_media)
                IS DISTINCT FROM (b.id, b.created_at, b.has_media)
             OR (c.blocked_latest_text IS DISTINCT FROM left(b.text, 256)
                 AND (length(b.text) > 256 AND length(c.blocked_latest_text) BETWEEN 1 AND 255
                      AND starts_with(b.text, c.blocked_latest_text)) IS NOT TRUE)
             OR c.latest_at <> greatest(l.created_at, b.created_at)
             OR c.blocked_is_latest <> coalesce((b.created_at, b.id) > (l.created_at, l.id), b.id IS NOT NULL))"
    ),
    range_check!(
        "conversation counters satisfy 0 <= read <= received <= total",
        Some(Repair::Conversation),
        "SELECT c.id FROM conversations c
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND NOT (0 <= c.clear_read_before AND c.clear_read_before <= c.clear_read AND c.clear_read <= c.clear_received
                    AND c.clear_received <= c.clear_total AND 0 <= c.blocked_total)"
    ),
    range_check!(
        "clear_settled is not above the read horizon, and no message up to it is newer than clear_settled_at",
        Some(Repair::Conversation),
        "SELECT c.id FROM conversations c
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND (c.clear_settled > c.clear_read
             OR EXISTS (SELECT FROM messages m
                        WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT m.is_blocked
                          AND m.received_number <= c.clear_settled
                          AND m.created_at > coalesce(c.clear_settled_at, '-infinity')))"
    ),
    range_check!(
        "the received numbers of a conversation are 1 to n without gaps or duplicates",
        Some(Repair::Conversation),
        "SELECT c.id FROM conversations c
         CROSS JOIN LATERAL (
             SELECT count(*) AS written, count(DISTINCT received_number) AS different, min(received_number) AS first,
                    max(received_number) AS last
             FROM messages m
             WHERE m.organization_id = $1 AND m.conversation_id = c.id AND NOT is_blocked AND direction = 1) m
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND m.written > 0 AND (m.different, m.first, m.last) IS DISTINCT FROM (m.written, 1, m.written)"
    ),
    range_check!(
        "the connection of a conversation has its identity and human, and the released flags match",
        Some(Repair::Conversation),
        "SELECT c.id FROM conversations c
         LEFT JOIN connections k ON k.organization_id = $1 AND k.id = c.assignment_id
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND (k.id IS NULL OR (k.released_at IS NOT NULL) <> c.assignment_released
             OR (k.agent_identity_id, k.remote_number) <> (c.agent_identity_id, c.remote_number))"
    ),
    range_check!(
        "a conversation refers to the active connection of its identity and human, if there is one",
        Some(Repair::Conversation),
        "SELECT c.id FROM conversations c
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND EXISTS (SELECT FROM connections k
                       WHERE k.organization_id = $1 AND k.agent_identity_id = c.agent_identity_id
                         AND k.remote_number = c.remote_number AND k.released_at IS NULL AND k.id <> c.assignment_id)"
    ),
    range_check!(
        "assignment_messaged matches the messages received on the connection of the conversation",
        Some(Repair::Conversation),
        "SELECT c.id FROM conversations c
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND c.assignment_messaged <> EXISTS (
               SELECT FROM messages m
               WHERE m.organization_id = $1 AND m.conversation_id = c.id AND m.assignment_id = c.assignment_id
                 AND NOT m.is_blocked AND m.direction = 1)"
    ),
    range_check!(
        "a discarded conversation has no row in conversations",
        None,
        "SELECT c.id FROM conversations c
         WHERE c.organization_id = $1 AND c.id > $2 AND c.id <= $3
           AND EXISTS (SELECT FROM discarded_conversations d WHERE d.organization_id = $1 AND d.conversation_id = c.id)"
    ),
];
