//! The global tables that find what is a tenant's.

use super::{Breach, Breaches, Invariant, Looking, Mend, of_all};
use crate::store::Link;

pub(super) const WHOLE: &[Invariant<()>] = &[
    // Routes without their connection come first: only when they are gone is there room for the right ones.
    of_all!(
        "active connections are the routes",
        Some(Mend::Route),
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
    of_all!(
        "a line counts its active connections",
        Some(Mend::Line),
        r#"WITH r AS MATERIALIZED (SELECT line_number, count(*) AS routes FROM routes GROUP BY line_number)
           SELECT NULL::text AS organization_id, l.number AS id, count(*) OVER () AS "total!"
           FROM lines l
           LEFT JOIN r ON r.line_number = l.number
           WHERE l.active_connections <> coalesce(r.routes, 0)
           LIMIT $1"#
    ),
    of_all!(
        "what a human reached over a line is remembered no longer than there is a connection",
        Some(Mend::Forgotten),
        r#"WITH o AS MATERIALIZED (SELECT organization_id, line_number, remote_number FROM routed_organizations),
           k AS MATERIALIZED (SELECT organization_id, line_number, remote_number FROM connections)
           SELECT o.organization_id AS "organization_id?", o.line_number AS "id!", count(*) OVER () AS "total!"
           FROM o
           WHERE NOT EXISTS (SELECT FROM k
                             WHERE k.organization_id = o.organization_id AND k.line_number = o.line_number
                               AND k.remote_number = o.remote_number)
           LIMIT $1"#
    ),
    of_all!(
        "what is found by a carrier's id is a message that the carrier took",
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
    // Its organization is not written down, so every one's connections are looked through.
    of_all!(
        "the connection of a router command is there",
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
