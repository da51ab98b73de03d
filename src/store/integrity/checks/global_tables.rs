//! Invariants of the global tables that are lookups into tenant tables: routes, lines,
//! `routed_organizations`, `sent_messages`, router commands.

use super::invariant::{CheckFuture, Invariant, MAX_LISTED, Repair, Violation, Violations, global_check};
use crate::store::DbConnection;

pub(super) const INVARIANTS: &[Invariant<()>] = &[
    // Routes without a connection are listed first: they must be removed before the correct routes can be
    // inserted.
    global_check!(
        "routes match the active connections",
        Some(Repair::Route),
        r#"WITH k AS MATERIALIZED (
               SELECT organization_id, id, agent_identity_id, line_number, remote_number FROM connections
               WHERE released_at IS NULL),
           r AS MATERIALIZED (
               SELECT organization_id, connection_id, agent_identity_id, line_number, remote_number FROM routes)
           SELECT coalesce(k.organization_id, r.organization_id) AS organization_id,
                  coalesce(k.id, r.connection_id)::text AS "id!", count(*) OVER () AS "total!"
           FROM k
           FULL JOIN r ON r.connection_id = k.id AND r.line_number = k.line_number
                      AND r.remote_number = k.remote_number AND r.organization_id = k.organization_id
                      AND r.agent_identity_id = k.agent_identity_id
           WHERE k.id IS NULL OR r.connection_id IS NULL
           ORDER BY k.id IS NOT NULL
           LIMIT $1"#
    ),
    global_check!(
        "lines.active_connections matches the routes of the line",
        Some(Repair::LineCount),
        r#"WITH r AS MATERIALIZED (SELECT line_number, count(*) AS routes FROM routes GROUP BY line_number)
           SELECT NULL::text AS organization_id, l.number AS id, count(*) OVER () AS "total!"
           FROM lines l
           LEFT JOIN r ON r.line_number = l.number
           WHERE l.active_connections <> coalesce(r.routes, 0)
           LIMIT $1"#
    ),
    global_check!(
        "every routed_organizations row has a connection",
        Some(Repair::OrphanedContactHistory),
        r#"WITH o AS MATERIALIZED (SELECT organization_id, line_number, remote_number FROM routed_organizations),
           k AS MATERIALIZED (SELECT organization_id, line_number, remote_number FROM connections)
           SELECT o.organization_id AS "organization_id?", o.line_number AS "id!", count(*) OVER () AS "total!"
           FROM o
           WHERE NOT EXISTS (SELECT FROM k
                             WHERE k.organization_id = o.organization_id AND k.line_number = o.line_number
                               AND k.remote_number = o.remote_number)
           LIMIT $1"#
    ),
    global_check!(
        "a sent_messages row refers to an outbound message with the same line and provider message id",
        None,
        r#"WITH s AS MATERIALIZED (
               SELECT organization_id, message_id, line_number, provider_message_id FROM sent_messages),
           m AS MATERIALIZED (
               SELECT m.organization_id, m.id, m.direction, m.line_number, m.provider_message_id FROM s
               JOIN messages m ON m.organization_id = s.organization_id AND m.id = s.message_id)
           SELECT s.organization_id AS "organization_id?", s.message_id::text AS "id!", count(*) OVER () AS "total!"
           FROM s
           LEFT JOIN m ON m.organization_id = s.organization_id AND m.id = s.message_id
           WHERE (m.direction, m.line_number, m.provider_message_id)
                 IS DISTINCT FROM (2::smallint, s.line_number, s.provider_message_id)
           LIMIT $1"#
    ),
    // A router command does not store its organization, so the connections of all organizations are searched.
    global_check!(
        "the connection of a router command exists",
        None,
        r#"WITH r AS MATERIALIZED (SELECT connection_id FROM router_commands WHERE connection_id IS NOT NULL),
           k AS MATERIALIZED (
               SELECT k.id FROM r
               CROSS JOIN organizations o
               JOIN connections k ON k.organization_id = o.id AND k.id = r.connection_id)
           SELECT NULL::text AS organization_id, r.connection_id::text AS "id!", count(*) OVER () AS "total!"
           FROM r
           WHERE NOT EXISTS (SELECT FROM k WHERE k.id = r.connection_id)
           LIMIT $1"#
    ),
];
