//! Which shard a statement asks for, as a router planner sees it: every table that is spread over nodes must be bound,
//! by equality, to one and the same parameter.

mod analysis;

use std::collections::BTreeMap;

use inkbox_imessage::store::citus::{FIRST, GLOBAL, Placement, placement};
use sqlx::postgres::PgPool;

use crate::store::checked_queries;
use crate::support::database;
use analysis::fault;

/// The column by which each table is spread.
type Spread = BTreeMap<String, &'static str>;

/// A statement that asks more than one shard, or does what a distributed database refuses, and may.
struct Exception {
    /// How the statement begins, with single blanks.
    beginning: &'static str,
    fault: &'static str,
    reason: &'static str,
}

const NOT_BOUND: &str = "is not bound to a parameter";
const AT_ONCE: &str = "changes two tables at once";

const NOT_UNDERSTOOD: &str = "a join is not understood";
const OF_VERIFY: &str = "verify compares two sides, for an operator: what it needs of each is read from all nodes to a list first";
const OF_REPAIR: &str = "verify --repair, for an operator, asks all nodes";

/// What `verify` asks, which no call does.
const fn of_verify(beginning: &'static str, fault: &'static str) -> Exception {
    Exception { beginning, fault, reason: OF_VERIFY }
}

const EXCEPTIONS: [Exception; 29] = [
    of_verify(
        "WITH i AS MATERIALIZED (SELECT organization_id, id, agent_handle FROM identities) SELECT",
        NOT_UNDERSTOOD,
    ),
    of_verify(
        "WITH k AS MATERIALIZED ( SELECT id, line_number, remote_number FROM connections WHERE organization_id",
        NOT_BOUND,
    ),
    of_verify(
        "WITH k AS MATERIALIZED ( SELECT organization_id, id, agent_identity_id, line_number, remote_number FROM conn",
        NOT_UNDERSTOOD,
    ),
    of_verify(
        "WITH k AS MATERIALIZED ( SELECT organization_id, id, scope, agent_identity_id, expires_at FROM api_keys",
        NOT_UNDERSTOOD,
    ),
    of_verify(
        "WITH m AS MATERIALIZED ( SELECT id, line_number, provider_message_id FROM messages",
        NOT_BOUND,
    ),
    of_verify(
        "WITH m AS MATERIALIZED ( SELECT m.id, m.line_number, m.provider_message_id, c.remote",
        NOT_BOUND,
    ),
    of_verify(
        "WITH o AS MATERIALIZED (SELECT organization_id, line_number, remote_number FROM routed_org",
        NOT_BOUND,
    ),
    of_verify("WITH r AS MATERIALIZED (SELECT connection_id FROM router_commands", NOT_BOUND),
    of_verify("WITH r AS MATERIALIZED (SELECT line_number, count(*) AS routes FROM routes", NOT_BOUND),
    of_verify("WITH s AS MATERIALIZED ( SELECT organization_id, message_id, line_number", NOT_BOUND),
    Exception {
        beginning: "SELECT NULL::text AS organization_id, coalesce(k.id, d.api_key_id)",
        fault: NOT_UNDERSTOOD,
        reason: "of verify; both tables are on every node, which this test does not see in a FULL JOIN",
    },
    Exception {
        beginning: "SELECT count(*)::integer AS \"routes!\" FROM routes WHERE line_number = $1",
        fault: NOT_BOUND,
        reason: OF_REPAIR,
    },
    Exception {
        beginning: "DELETE FROM routes WHERE organization_id = $1 AND connection_id = $2 AND (agent_identity_id",
        fault: NOT_BOUND,
        reason: OF_REPAIR,
    },
    Exception {
        beginning: "SELECT organization_id, conversation_id FROM discarded_conversations",
        fault: NOT_BOUND,
        reason: "the sweeper looks at all organizations, once a minute, at a bounded number of rows",
    },
    Exception {
        beginning: "DELETE FROM router_commands WHERE (line_number",
        fault: NOT_BOUND,
        reason: "a sweep of what is a week old, in bounded batches",
    },
    Exception {
        beginning: "DELETE FROM awaited_files WHERE (remote_number",
        fault: NOT_BOUND,
        reason: "a sweep of what is a day old, in bounded batches",
    },
    Exception {
        beginning: "DELETE FROM sent_messages WHERE (line_number, provider_message_id) IN ( SELECT",
        fault: NOT_BOUND,
        reason: "a sweep of what is a week old, in bounded batches",
    },
    Exception {
        beginning: "DELETE FROM tapback_texts WHERE (line_number",
        fault: NOT_BOUND,
        reason: "a sweep of what is a week old, in bounded batches",
    },
    Exception {
        beginning: "DELETE FROM sent_messages WHERE (line_number, provider_message_id) IN (SELECT line, id FROM unnest",
        fault: NOT_BOUND,
        reason: "deletes what led to the messages of a discarded conversation, a batch at a time",
    },
    Exception {
        beginning: "UPDATE router_commands SET connection_id = NULL",
        fault: NOT_BOUND,
        reason: "discards connections, which neither texts nor calls do",
    },
    Exception {
        beginning: "SELECT provider_message_id FROM sent_messages",
        fault: NOT_BOUND,
        reason: "looks up several carrier ids at once, when an answer of a carrier was lost",
    },
    Exception {
        beginning: "SELECT t.number AS \"number!\", l.role",
        fault: NOT_BOUND,
        reason: "runs for one key on a distributed database: see BatchQuery::SINGLE_ON_CITUS",
    },
    Exception {
        beginning: "WITH free AS MATERIALIZED ( SELECT id FROM conversations WHERE organization_id = $1 AND id = ANY($2) FOR NO KEY UPDATE SKIP LOCKED), summary",
        fault: AT_ONCE,
        reason: "stores messages together; a distributed database takes one in two statements: see messages::append",
    },
    Exception {
        beginning: "WITH free AS MATERIALIZED ( SELECT id FROM conversations WHERE organization_id = $1 AND id = ANY($2) FOR NO KEY UPDATE SKIP LOCKED), marked",
        fault: AT_ONCE,
        reason: "marks and their events; a distributed database takes a transaction: see conversations::mark_read",
    },
    Exception {
        beginning: "SELECT e.organization_id AS \"organization_id?\", e.newest",
        fault: NOT_BOUND,
        reason: "of verify; both tables are joined by organization, which is on one node",
    },
    Exception {
        beginning: "WITH since AS ( SELECT organization_id,",
        fault: NOT_BOUND,
        reason: "of verify; the tables are joined by organization, which is on one node",
    },
    Exception {
        beginning: "WITH head AS ( INSERT INTO event_logs",
        fault: AT_ONCE,
        reason: "a distributed database takes two statements: see pool::event_log",
    },
    Exception {
        beginning: "SELECT organization_id, last_sequence FROM event_logs",
        fault: NOT_BOUND,
        reason: "one look for all organizations whose events are being read, instead of one each",
    },
    Exception {
        beginning: "WITH summary AS (UPDATE conversations",
        fault: AT_ONCE,
        reason: "a distributed database takes two statements: see messages::append",
    },
];

async fn spread(pool: &PgPool) -> Spread {
    let tables: Vec<(String, Option<String>)> = sqlx::query_as(
        "SELECT relname::text, obj_description(oid, 'pg_class') FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> '_sqlx_migrations'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let placed = tables.into_iter().map(|(name, comment)| {
        let placement = placement(&name, &comment.unwrap_or_default());
        (name.clone(), placement.unwrap_or_else(|| panic!("{name} does not say where it belongs")))
    });
    placed
        .filter_map(|(name, placement)| match placement {
            Placement::Spread(column) => Some((name, column)),
            Placement::Everywhere | Placement::Coordinator => None,
        })
        .collect()
}

#[tokio::test]
async fn every_checked_query_asks_one_shard_or_is_an_exception_with_a_reason() {
    let pool = PgPool::connect_with(database::pristine().await).await.unwrap();
    let spread = spread(&pool).await;
    let mut used = vec![0; EXCEPTIONS.len()];
    let (mut asked, mut faults) = (0, Vec::new());
    for sql in checked_queries::all().keys() {
        let text = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let exception = EXCEPTIONS.iter().position(|exception| text.starts_with(exception.beginning));
        let found = fault(sql, &spread);
        match (exception, found) {
            (None, found) => faults.extend(found.map(|found| format!("{found}: {text}"))),
            (Some(at), Some(found)) => {
                let Exception { fault, reason, .. } = &EXCEPTIONS[at];
                assert!(found.contains(fault) && !reason.is_empty(), "{found}: {text}");
                assert!(*reason != OF_VERIFY || text.contains(" AS MATERIALIZED ("), "{text}");
                used[at] += 1;
            }
            (Some(at), None) => panic!("{} needs no exception: {text}", EXCEPTIONS[at].beginning),
        }
        asked += usize::from(spread.keys().any(|table| text.contains(table.as_str())));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(asked > 100, "{asked} queries on tables that are spread");
    for (exception, times) in EXCEPTIONS.iter().zip(used) {
        assert!(times > 0, "no query begins with {:?}", exception.beginning);
    }
}

/// What is spread by a column has it in each of its unique keys: else no node could say that a key is taken.
#[tokio::test]
async fn every_unique_key_has_the_column_by_which_its_table_is_spread() {
    let pool = PgPool::connect_with(database::pristine().await).await.unwrap();
    for (table, column) in spread(&pool).await {
        let without: Vec<String> = sqlx::query_scalar(
            "SELECT i.indexrelid::regclass::text FROM pg_index i
             WHERE i.indrelid = $1::text::regclass AND i.indisunique AND NOT EXISTS (
                 SELECT FROM pg_attribute a
                 WHERE a.attrelid = i.indrelid AND a.attname = $2 AND a.attnum = ANY (i.indkey[:i.indnkeyatts - 1]))",
        )
        .bind(&table)
        .bind(column)
        .fetch_all(&pool)
        .await
        .unwrap();
        assert!(without.is_empty(), "{table} by {column}: {without:?}");
    }
}

/// Tables that are spread by one column are put beside one of them.
#[tokio::test]
async fn every_column_has_a_table_that_the_others_are_put_beside() {
    let pool = PgPool::connect_with(database::pristine().await).await.unwrap();
    let spread = spread(&pool).await;
    for (table, column) in &spread {
        let first = FIRST.iter().find(|(of, _)| of == column).unwrap_or_else(|| panic!("{table}: {column}"));
        assert_eq!(spread.get(first.1), Some(column), "{table}");
    }
    for (table, _) in GLOBAL {
        assert!(placement(table, "Global. ").is_some() && table_exists(&pool, table).await, "{table}");
    }
}

async fn table_exists(pool: &PgPool, table: &str) -> bool {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(pool).await.unwrap()
}

#[test]
fn a_statement_that_does_not_ask_one_shard_is_noticed() {
    let spread: Spread =
        [("messages", "organization_id"), ("identities", "organization_id"), ("routes", "remote_number")]
            .map(|(table, column)| (table.to_owned(), column))
            .into();
    for good in [
        "SELECT id FROM messages WHERE organization_id = $1 AND id = $2",
        "SELECT id FROM messages WHERE $1 = organization_id AND (id = $2 OR id = $3)",
        "SELECT m.id FROM messages m JOIN identities i ON i.organization_id = m.organization_id WHERE m.organization_id = $1",
        "SELECT m.id FROM messages m LEFT JOIN identities i ON i.organization_id = $1 WHERE m.organization_id = $1",
        "SELECT l.number FROM lines l WHERE NOT EXISTS (SELECT 1 FROM routes r WHERE r.remote_number = $1)",
        "SELECT m.id FROM messages m WHERE m.organization_id = $1 AND EXISTS (
             SELECT 1 FROM identities i WHERE i.organization_id = m.organization_id)",
        "WITH n AS (SELECT id FROM messages WHERE organization_id = $2) SELECT id FROM n ORDER BY (
             SELECT 1 FROM identities WHERE organization_id = $2)",
        "INSERT INTO messages (organization_id, id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        "INSERT INTO messages (id, organization_id) SELECT id, $3 FROM lines",
        "UPDATE messages m SET id = $2 FROM unnest($3::uuid[]) u (id) WHERE m.organization_id = $1 AND m.id = u.id",
        "UPDATE lines SET seen_at = statement_timestamp()",
        "DELETE FROM routes WHERE remote_number = $1",
    ] {
        assert_eq!(fault(good, &spread), None, "{good}");
    }
    for bad in [
        "SELECT id FROM messages",
        "SELECT id FROM messages WHERE id = $1",
        "SELECT organization_id FROM messages WHERE id = $1",
        "SELECT id FROM messages WHERE organization_id = $1 OR id = $2",
        "SELECT id FROM messages WHERE NOT (organization_id = $1)",
        "SELECT id FROM messages WHERE organization_id > $1",
        "SELECT id FROM messages WHERE organization_id = ANY ($1)",
        "SELECT id FROM messages WHERE lower(organization_id) = $1",
        "SELECT id FROM messages WHERE organization_id = coalesce($1, $2)",
        "SELECT id FROM messages WHERE ($1::text IS NULL OR organization_id = $1)",
        "SELECT id FROM messages WHERE organization_id = organization_id",
        "SELECT m.id FROM messages m JOIN identities i ON i.id = m.id WHERE m.organization_id = $1",
        "SELECT m.id FROM messages m JOIN identities i ON i.organization_id = $2 WHERE m.organization_id = $1",
        // What an outer join says of its left side takes no row away from it.
        "SELECT m.id FROM messages m LEFT JOIN identities i ON i.organization_id = $1 AND m.organization_id = $1",
        "SELECT m.id FROM messages m, identities i WHERE m.organization_id = $1",
        "SELECT m.id FROM messages m, routes r WHERE m.organization_id = $1 AND r.remote_number = $2",
        "SELECT m.id FROM messages m WHERE m.organization_id = $1 AND EXISTS (SELECT 1 FROM identities i WHERE i.id = m.id)",
        "SELECT (SELECT id FROM identities) FROM messages WHERE organization_id = $1",
        "SELECT id FROM messages WHERE organization_id = $1 UNION ALL SELECT id FROM messages WHERE id = $2",
        "INSERT INTO messages (id) VALUES ($1)",
        "INSERT INTO messages (organization_id, id) VALUES ($1, $2), ($3, $4)",
        "INSERT INTO messages (organization_id, id) SELECT number, $2 FROM lines",
        "UPDATE messages SET id = $1 WHERE id = $2",
        "UPDATE messages SET id = $1 FROM identities i WHERE messages.organization_id = $2",
        "UPDATE messages SET created_at = clock_timestamp() WHERE organization_id = $1",
        "DELETE FROM messages WHERE id = $1",
        "DELETE FROM messages USING identities i WHERE messages.organization_id = $1",
        "WITH gone AS (DELETE FROM messages WHERE organization_id = $1 RETURNING id)
             INSERT INTO identities (organization_id, id) SELECT $1, id FROM gone",
        "SELECT pg_notify($1, $2)",
    ] {
        assert!(fault(bad, &spread).is_some(), "{bad}");
    }
}
