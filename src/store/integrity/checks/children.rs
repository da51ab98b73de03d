//! Connections, reactions and contact rules.

use uuid::Uuid;

use super::{Breaches, Family, Invariant, Looking, Mend, Slice, family, of_slice};
use crate::store::Link;

/// Connections.
pub const CONNECTIONS: Family = family!(
    "connections",
    5_000,
    "SELECT id FROM connections WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    &[
        of_slice!(
            "an identity and a human are connected once at a time",
            None,
            "SELECT k.id FROM connections k
             WHERE k.organization_id = $1 AND k.id > $2 AND k.id <= $3 AND k.released_at IS NULL
               AND EXISTS (SELECT FROM connections o
                           WHERE o.organization_id = $1 AND o.agent_identity_id = k.agent_identity_id
                             AND o.remote_number = k.remote_number AND o.released_at IS NULL AND o.id <> k.id)"
        ),
        of_slice!(
            "a connection is on a pool line of ours",
            None,
            "SELECT k.id FROM connections k
             LEFT JOIN lines l ON l.number = k.line_number
             WHERE k.organization_id = $1 AND k.id > $2 AND k.id <= $3 AND l.role IS DISTINCT FROM 2"
        ),
        of_slice!(
            "what a human reached over a line is remembered for as long as there is a connection",
            Some(Mend::Remembered),
            r#"WITH k AS MATERIALIZED (
                 SELECT id, line_number, remote_number FROM connections
                 WHERE organization_id = $1 AND id > $2 AND id <= $3),
             o AS MATERIALIZED (
                 SELECT k.id FROM k
                 JOIN routed_organizations o ON o.line_number = k.line_number AND o.remote_number = k.remote_number
                                            AND o.organization_id = $1)
             SELECT k.id AS "id!" FROM k WHERE NOT EXISTS (SELECT FROM o WHERE o.id = k.id)"#
        ),
    ]
);

/// Tapbacks.
pub const REACTIONS: Family = family!(
    "reactions",
    5_000,
    "SELECT id FROM reactions WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    &[
        of_slice!(
            "a reaction is in the conversation of its message",
            None,
            "SELECT r.id FROM reactions r
             LEFT JOIN messages m ON m.organization_id = $1 AND m.id = r.message_id
             WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3
               AND m.conversation_id IS DISTINCT FROM r.conversation_id"
        ),
        of_slice!(
            "a side has one live reaction on a part of a message",
            None,
            "SELECT r.id FROM reactions r
             WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3 AND r.removed_at IS NULL
               AND EXISTS (SELECT FROM reactions o
                           WHERE o.organization_id = $1 AND o.message_id = r.message_id AND o.direction = r.direction
                             AND o.part_index = r.part_index AND o.removed_at IS NULL AND o.id <> r.id)"
        ),
        of_slice!(
            "the emoji of a reaction is gone once retention has passed it",
            None,
            "SELECT r.id FROM reactions r
             JOIN retention_progress p ON p.organization_id = $1
             WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3
               AND r.id <= p.reactions_to AND r.custom_emoji IS NOT NULL"
        ),
    ]
);

/// Contact rules.
pub const CONTACT_RULES: Family = family!(
    "contact_rules",
    5_000,
    "SELECT id FROM contact_rules WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    &[of_slice!(
        "an identity has one rule for a number",
        None,
        "SELECT r.id FROM contact_rules r
         WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3
           AND EXISTS (SELECT FROM contact_rules o
                       WHERE o.organization_id = $1 AND o.agent_identity_id = r.agent_identity_id
                         AND o.match_target = r.match_target AND o.id <> r.id)"
    )]
);
