//! The rules of the schema, read from the catalog of a migrated database and from the checked queries. See
//! `migrations/0001_initial.sql`: what is written there as a promise is asserted here.

use sqlx::postgres::PgPool;
use sqlx::{AssertSqlSafe, raw_sql};

use crate::store::checked_queries::{self, tokens};
use crate::support::database;

/// A rule of the schema.
struct Rule {
    name: &'static str,
    /// Finds what breaks the rule, one name a row.
    breaches: &'static str,
    /// A change of the schema that breaks it, which the rule must then find.
    breach: &'static str,
}

const RULES: [Rule; 9] = [
    Rule {
        name: "every table says whether it is a tenant's or global",
        breaches: "SELECT relname::text FROM ours
                   WHERE coalesce(obj_description(oid, 'pg_class'), '') !~ '^(Tenant|Global)[.] '",
        breach: "CREATE TABLE breach (id uuid PRIMARY KEY)",
    },
    Rule {
        name: "every tenant table has a primary key, which begins with organization_id, as all its unique keys do",
        breaches: "SELECT t.relname || ': ' || coalesce(i.indexrelid::regclass::text, 'no primary key')
                   FROM tenants t
                   LEFT JOIN pg_index i ON i.indrelid = t.oid AND i.indisunique
                   LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
                   WHERE a.attname IS DISTINCT FROM 'organization_id'
                      OR NOT EXISTS (SELECT FROM pg_index p WHERE p.indrelid = t.oid AND p.indisprimary)",
        breach: "CREATE UNIQUE INDEX breach ON identities (agent_handle)",
    },
    Rule {
        name: "every foreign key of a tenant table begins with organization_id",
        breaches: "SELECT c.conname::text FROM tenants t
                   JOIN pg_constraint c ON c.conrelid = t.oid AND c.contype = 'f'
                   JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = c.conkey[1]
                   WHERE a.attname <> 'organization_id'",
        breach:
            "ALTER TABLE contact_rules ADD CONSTRAINT breach
                 FOREIGN KEY (agent_identity_id, organization_id) REFERENCES identities (id, organization_id)",
    },
    Rule {
        name: "no foreign key leads from a global table to a tenant's",
        breaches: "SELECT c.conname::text FROM ours g
                   JOIN pg_constraint c ON c.conrelid = g.oid AND c.contype = 'f'
                   WHERE g.oid NOT IN (SELECT oid FROM tenants) AND c.confrelid IN (SELECT oid FROM tenants)",
        breach:
            "ALTER TABLE handles ADD CONSTRAINT breach
                 FOREIGN KEY (organization_id, agent_identity_id) REFERENCES identities (organization_id, id)",
    },
    Rule {
        name: "every column has a comment",
        breaches: "SELECT o.relname || '.' || a.attname FROM ours o
                   JOIN pg_attribute a ON a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped
                   WHERE coalesce(col_description(o.oid, a.attnum), '') = ''",
        breach: "ALTER TABLE lines ADD COLUMN breach text",
    },
    Rule {
        name: "every index has a comment",
        breaches: "SELECT i.indexrelid::regclass::text FROM ours o JOIN pg_index i ON i.indrelid = o.oid
                   WHERE coalesce(obj_description(i.indexrelid, 'pg_class'), '') = ''",
        breach: "CREATE INDEX breach ON lines (created_at)",
    },
    Rule {
        name: "there is no logic in the database: no trigger, rule, function, view or policy",
        breaches: "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal
                   UNION ALL SELECT rulename::text FROM pg_rules WHERE schemaname = 'public'
                   UNION ALL SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
                   UNION ALL SELECT relname::text FROM pg_class
                             WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')
                   UNION ALL SELECT polname::text FROM pg_policy",
        breach: "CREATE RULE breach AS ON DELETE TO lines DO INSTEAD NOTHING",
    },
    Rule {
        name: "there is no sequence, identity or generated column",
        breaches: "SELECT relname::text FROM pg_class
                   WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
                   UNION ALL SELECT attname::text FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
                             WHERE attidentity <> '' OR attgenerated <> ''",
        breach: "ALTER TABLE lines ADD COLUMN breach bigint GENERATED ALWAYS AS IDENTITY",
    },
    Rule {
        name: "there is no exclusion constraint and no constraint that waits for the commit",
        breaches: "SELECT conname::text FROM pg_constraint
                   WHERE connamespace = 'public'::regnamespace AND (contype = 'x' OR condeferrable)",
        breach: "ALTER TABLE lines ADD CONSTRAINT breach EXCLUDE (number WITH =)",
    },
];

/// The tables that the rules are about, in front of each rule's query.
const TABLES: &str = "WITH ours AS (SELECT oid, relname FROM pg_class
                           WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
                             AND relname <> '_sqlx_migrations'),
                      tenants AS (SELECT oid, relname FROM ours WHERE obj_description(oid, 'pg_class') ~ '^Tenant[.]') ";

async fn names(pool: &PgPool, query: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(format!("{TABLES} {query}"))).fetch_all(pool).await.unwrap()
}

async fn tenant_tables(pool: &PgPool) -> Vec<String> {
    names(pool, "SELECT relname::text FROM tenants").await
}

#[tokio::test]
async fn the_schema_keeps_every_rule() {
    let pool = PgPool::connect_with(database::pristine().await).await.unwrap();
    assert!(!tenant_tables(&pool).await.is_empty());
    for rule in RULES {
        let breaches = names(&pool, rule.breaches).await;
        assert!(breaches.is_empty(), "{}: {breaches:?}", rule.name);
    }
}

#[tokio::test]
async fn each_rule_notices_its_breach() {
    let pool = PgPool::connect_with(database::pristine().await).await.unwrap();
    for rule in RULES {
        let mut breaking = pool.begin().await.unwrap();
        // What the breach of the third rule refers to.
        let wanted = "CREATE UNIQUE INDEX wanted ON identities (id, organization_id)";
        raw_sql(AssertSqlSafe(format!("{wanted}; {}", rule.breach))).execute(&mut *breaking).await.unwrap();
        let query = AssertSqlSafe(format!("{TABLES} {}", rule.breaches));
        let found: Vec<String> = sqlx::query_scalar(query).fetch_all(&mut *breaking).await.unwrap();
        assert!(found.iter().any(|name| name.contains("breach")), "{}: {found:?}", rule.name);
    }
}

/// How the statements begin with which `verify` looks at the event logs of all organizations.
const OF_ALL_LOGS: [&str; 2] = [
    "SELECT e.organization_id AS \"organization_id?\", e.newest",
    "WITH since AS (\n               SELECT organization_id,",
];

/// What is wrong with a statement, where tables are distributed by organization.
fn fault(sql: &str, tenant_tables: &[String]) -> Option<&'static str> {
    let tokens = tokens(sql);
    let words: Vec<_> = tokens.iter().map(String::as_str).collect();
    let is_tenant = |word: &&str| tenant_tables.iter().any(|table| table == word);
    let count = |matches: &dyn Fn(&[&str]) -> bool, length| {
        words.windows(length).filter(|window| matches(window)).count()
    };
    let touched = count(&|w| ["from", "join", "update", "using"].contains(&w[0]) && is_tenant(&w[1]), 2);
    let bound = count(&|w| w[0] == "organization_id" && w[1] == "=", 2);
    let inserts = count(&|w| w[0] == "into" && is_tenant(&w[1]), 2);
    let placed = count(&|w| w[0] == "into" && is_tenant(&w[1]) && w[2..] == ["(", "organization_id"], 4);
    // Not as the qualifier of a column.
    let qualifiers = count(&|w| is_tenant(&w[0]) && w[1] == ".", 2);
    let mentioned = words.iter().filter(|word| is_tenant(word)).count() - qualifiers;
    if mentioned > touched + inserts {
        Some("reaches a tenant table in a way that this test does not understand")
    } else if bound < touched {
        Some("does not name the organization_id of every tenant table it touches")
    } else if placed < inserts {
        Some("does not begin an insert with organization_id")
    } else if words.iter().any(|word| ["notify", "listen", "pg_notify"].contains(word)) {
        Some("uses NOTIFY")
    } else if count(&|w| ["select", "returning", "."].contains(&w[0]) && w[1] == "*", 2) > 0 {
        Some("takes whatever columns there are")
    } else {
        None
    }
}

#[tokio::test]
async fn every_query_on_a_tenant_table_names_the_organization() {
    let pool = PgPool::connect_with(database::pristine().await).await.unwrap();
    let tenant_tables = tenant_tables(&pool).await;
    let queries = checked_queries::all();
    assert!(queries.len() > 50, "{} checked queries", queries.len());
    for sql in queries.keys() {
        let looks_at_all = OF_ALL_LOGS.iter().any(|beginning| sql.starts_with(beginning));
        assert_eq!(fault(sql, &tenant_tables).filter(|_| !looks_at_all), None, "{sql}");
    }
}

#[test]
fn a_query_without_the_organization_is_noticed() {
    let tenant_tables = ["messages".to_owned(), "identities".to_owned()];
    for good in [
        "SELECT id FROM messages WHERE organization_id = $1 AND id = $2",
        "INSERT INTO messages (organization_id, id) VALUES ($1, $2)",
        "SELECT count(*) FROM lines",
        "SELECT m.id FROM messages m JOIN identities i ON i.organization_id = $1 WHERE m.organization_id = $1",
    ] {
        assert_eq!(fault(good, &tenant_tables), None, "{good}");
    }
    for bad in [
        "SELECT organization_id FROM messages WHERE id = $1",
        "SELECT m.id FROM messages m JOIN identities i ON i.id = m.id WHERE m.organization_id = $1",
        "DELETE FROM messages WHERE id = $1",
        "INSERT INTO messages (id, organization_id) VALUES ($1, $2)",
        "SELECT a.id FROM lines a, messages b WHERE organization_id = $1",
        "SELECT pg_notify('x', 'y')",
        "SELECT * FROM lines",
        "SELECT l.* FROM lines l",
        "UPDATE lines SET role = 1 RETURNING *",
    ] {
        assert!(fault(bad, &tenant_tables).is_some(), "{bad}");
    }
}
