//! Invariants of the event log.

use super::invariant::{CheckFuture, Invariant, MAX_LISTED, Violation, Violations, global_check};
use crate::store::DbConnection;

/// Neither is repairable: an event that was not written cannot be put into its place.
pub(super) const INVARIANTS: &[Invariant<()>] = &[
    global_check!(
        "the events of an organization are numbered without gaps up to the head of its log",
        None,
        r#"SELECT e.organization_id AS "organization_id?", e.newest::text AS "id!", count(*) OVER () AS "total!"
           FROM (SELECT organization_id, count(*) AS kept, min(sequence) AS oldest, max(sequence) AS newest
                 FROM events GROUP BY organization_id) e
           LEFT JOIN event_logs l ON l.organization_id = e.organization_id
           WHERE e.newest - e.oldest + 1 <> e.kept OR l.last_sequence IS DISTINCT FROM e.newest
           LIMIT $1"#
    ),
    // The ids of messages tell when they were made: version 7 has the milliseconds in its first 48 bits. A minute is left
    // for messages that were stored while the log began or its oldest events were deleted.
    global_check!(
        "a message that was stored since the oldest event of its organization has the events of its status",
        None,
        r#"WITH since AS (
               SELECT organization_id,
                      (lpad(to_hex((extract(epoch FROM min(occurred_at) + interval '1 minute') * 1000)::bigint), 12, '0')
                       || repeat('0', 20))::uuid AS oldest,
                      (lpad(to_hex((extract(epoch FROM max(occurred_at)) * 1000)::bigint), 12, '0')
                       || repeat('0', 20))::uuid AS newest
               FROM events GROUP BY organization_id)
           SELECT m.organization_id AS "organization_id?", m.id::text AS "id!", count(*) OVER () AS "total!"
           FROM since s
           JOIN messages m ON m.organization_id = s.organization_id AND m.id > s.oldest AND m.id < s.newest
           LEFT JOIN (SELECT organization_id, message_id, array_agg(type) AS types FROM events
                      WHERE type BETWEEN 1 AND 4 GROUP BY organization_id, message_id) e
                  ON e.organization_id = m.organization_id AND e.message_id = m.id
           WHERE substr(m.id::text, 15, 1) = '7'
             AND NOT coalesce(e.types, '{}') @> CASE
                     WHEN m.direction = 1 THEN ARRAY[1]
                     WHEN m.status IN (3, 4, 5) THEN ARRAY[2]
                     WHEN m.status = 6 THEN ARRAY[2, 3]
                     WHEN m.status IN (7, 8) THEN ARRAY[4]
                     ELSE ARRAY[]::integer[] END::smallint[]
           LIMIT $1"#
    ),
];
