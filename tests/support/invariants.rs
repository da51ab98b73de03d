//! What must hold of the rows whatever was done to them.

use sqlx::postgres::PgPool;

/// Each finds what breaks it, one name a row. What compares organizations with the lines' side collects each by itself first:
/// where tables are distributed, they are on different nodes.
const INVARIANTS: [(&str, &str); 7] = [
    (
        "a summary is what the messages say",
        "SELECT c.id::text FROM conversations c
         CROSS JOIN LATERAL (
             SELECT count(*) FILTER (WHERE NOT is_blocked) AS clear, count(*) FILTER (WHERE is_blocked) AS blocked,
                    count(*) FILTER (WHERE NOT is_blocked AND direction = 1) AS received
             FROM messages m WHERE m.organization_id = c.organization_id AND m.conversation_id = c.id) m
         LEFT JOIN LATERAL (
             SELECT id, created_at, direction, left(text, 256) AS text, media IS NOT NULL AS has_media FROM messages m
             WHERE m.organization_id = c.organization_id AND m.conversation_id = c.id AND NOT is_blocked
             ORDER BY created_at DESC, id DESC LIMIT 1) l ON true
         LEFT JOIN LATERAL (
             SELECT id, created_at, left(text, 256) AS text, media IS NOT NULL AS has_media FROM messages m
             WHERE m.organization_id = c.organization_id AND m.conversation_id = c.id AND is_blocked
             ORDER BY created_at DESC, id DESC LIMIT 1) b ON true
         WHERE (c.clear_total, c.blocked_total, c.clear_received) <> (m.clear, m.blocked, m.received)
            OR (c.clear_latest_id, c.clear_latest_at, c.clear_latest_direction, c.clear_latest_text,
                c.clear_latest_has_media) IS DISTINCT FROM (l.id, l.created_at, l.direction, l.text, l.has_media)
            OR (c.blocked_latest_id, c.blocked_latest_at, c.blocked_latest_text, c.blocked_latest_has_media)
               IS DISTINCT FROM (b.id, b.created_at, b.text, b.has_media)
            OR c.latest_at <> greatest(l.created_at, b.created_at)",
    ),
    (
        "messages are numbered through",
        "SELECT conversation_id::text FROM messages WHERE received_number IS NOT NULL
         GROUP BY organization_id, conversation_id
         HAVING max(received_number) <> count(*) OR count(DISTINCT received_number) <> count(*)",
    ),
    (
        "a message has its conversation, unless that is discarded",
        "SELECT m.id::text FROM messages m
         WHERE NOT EXISTS (SELECT FROM conversations c WHERE c.organization_id = m.organization_id
                                                         AND c.id = m.conversation_id)
           AND NOT EXISTS (SELECT FROM discarded_conversations d WHERE d.organization_id = m.organization_id
                                                                   AND d.conversation_id = m.conversation_id)",
    ),
    (
        "a conversation has its connection, and knows whether that has ended",
        "SELECT c.id::text FROM conversations c
         LEFT JOIN connections k ON k.organization_id = c.organization_id AND k.id = c.assignment_id
         WHERE k.id IS NULL OR (k.released_at IS NOT NULL) <> c.assignment_released
            OR (k.agent_identity_id, k.remote_number) <> (c.agent_identity_id, c.remote_number)",
    ),
    (
        "active connections are the routes",
        "WITH k AS MATERIALIZED (SELECT * FROM connections WHERE released_at IS NULL),
              r AS MATERIALIZED (SELECT * FROM routes)
         SELECT coalesce(k.id, r.connection_id)::text FROM k
         FULL JOIN r ON r.connection_id = k.id AND r.line_number = k.line_number
                    AND r.remote_number = k.remote_number AND r.organization_id = k.organization_id
                    AND r.agent_identity_id = k.agent_identity_id
         WHERE k.id IS NULL OR r.connection_id IS NULL",
    ),
    (
        "a line knows how many connections it has",
        "WITH l AS MATERIALIZED (SELECT number, active_connections FROM lines),
              r AS MATERIALIZED (SELECT line_number, count(*) AS connections FROM routes GROUP BY line_number)
         SELECT number FROM l LEFT JOIN r ON r.line_number = l.number
         WHERE active_connections <> coalesce(connections, 0)",
    ),
    (
        "what a human reached over a line is remembered for as long as there is a connection",
        "WITH k AS MATERIALIZED (SELECT * FROM connections), o AS MATERIALIZED (SELECT * FROM routed_organizations)
         SELECT k.id::text FROM k
         WHERE NOT EXISTS (SELECT FROM o WHERE o.line_number = k.line_number
                             AND o.remote_number = k.remote_number AND o.organization_id = k.organization_id)",
    ),
];

/// Asserts all of them.
#[track_caller]
pub fn hold(pool: &PgPool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        for (name, breaches) in INVARIANTS {
            let found: Vec<String> = sqlx::query_scalar(breaches).fetch_all(pool).await.unwrap();
            assert!(found.is_empty(), "{caller}: {name}: not so with {found:?}");
        }
    }
}
