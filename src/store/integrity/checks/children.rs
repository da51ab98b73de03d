//! Invariants of the small tenant tables: connections, reactions and contact rules.

use uuid::Uuid;

use super::invariant::{
    CheckFuture, Invariant, KeyRange, Repair, TableChecks, Violations, range_check, table_checks,
};
use crate::store::DbConnection;

pub(super) const CONNECTIONS: TableChecks = table_checks!(
    "connections",
    5_000,
    "SELECT id FROM connections WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    &[
        range_check!(
            "at most one active connection per identity and human",
            None,
            "SELECT k.id FROM connections k
             WHERE k.organization_id = $1 AND k.id > $2 AND k.id <= $3 AND k.released_at IS NULL
               AND EXISTS (SELECT FROM connections o
                           WHERE o.organization_id = $1 AND o.agent_identity_id = k.agent_identity_id
                             AND o.remote_number = k.remote_number AND o.released_at IS NULL AND o.id <> k.id)"
        ),
        range_check!(
            "the number of a connection is canonical",
            Some(Repair::Subscriber),
            "SELECT k.id FROM connections k
             WHERE k.organization_id = $1 AND k.id > $2 AND k.id <= $3 AND k.remote_number ~ $4",
            former_forms
        ),
        range_check!(
            "the line of an active connection is a known pool line",
            None,
            "SELECT k.id FROM connections k
             LEFT JOIN lines l ON l.number = k.line_number
             WHERE k.organization_id = $1 AND k.id > $2 AND k.id <= $3
               AND k.released_at IS NULL AND l.role IS DISTINCT FROM 2"
        ),
        range_check!(
            "every connection has a routed_organizations row",
            Some(Repair::MissingContactHistory),
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

pub(super) const REACTIONS: TableChecks = table_checks!(
    "reactions",
    5_000,
    "SELECT id FROM reactions WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    &[
        range_check!(
            "a reaction has the conversation of its message",
            Some(Repair::Reaction),
            "SELECT r.id FROM reactions r
             LEFT JOIN messages m ON m.organization_id = $1 AND m.id = r.message_id
             WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3
               AND m.conversation_id IS DISTINCT FROM r.conversation_id"
        ),
        range_check!(
            "at most one live reaction per message part and direction",
            None,
            "SELECT r.id FROM reactions r
             WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3 AND r.removed_at IS NULL
               AND EXISTS (SELECT FROM reactions o
                           WHERE o.organization_id = $1 AND o.message_id = r.message_id AND o.direction = r.direction
                             AND o.part_index = r.part_index AND o.removed_at IS NULL AND o.id <> r.id)"
        ),
        range_check!(
            "custom emoji of reactions past retention are redacted",
            None,
            "SELECT r.id FROM reactions r
             JOIN retention_progress p ON p.organization_id = $1
             WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3
               AND r.id <= p.reactions_to AND r.custom_emoji IS NOT NULL"
        ),
    ]
);

pub(super) const CONTACT_RULES: TableChecks = table_checks!(
    "contact_rules",
    5_000,
    "SELECT id FROM contact_rules WHERE organization_id = $1 AND id > $2 ORDER BY id LIMIT $3",
    &[
        range_check!(
            "at most one contact rule per identity and number",
            None,
            "SELECT r.id FROM contact_rules r
             WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3
               AND EXISTS (SELECT FROM contact_rules o
                           WHERE o.organization_id = $1 AND o.agent_identity_id = r.agent_identity_id
                             AND o.match_target = r.match_target AND o.id <> r.id)"
        ),
        range_check!(
            "the number of a contact rule is canonical",
            Some(Repair::Subscriber),
            "SELECT r.id FROM contact_rules r
             WHERE r.organization_id = $1 AND r.id > $2 AND r.id <= $3 AND r.match_target ~ $4",
            former_forms
        ),
    ]
);
