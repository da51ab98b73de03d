//! Bringing the schema up to date, and what a server makes of one that is not as it knows it.

use inkbox_imessage::server::ServeError;
use inkbox_imessage::store::{self, SchemaError};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::time::timeout;

use crate::store::checked_queries;
use crate::support::{PATIENCE, TestApp, database};

/// How many migrations were written down as applied, and how many different ones.
async fn applied(options: &PgConnectOptions) -> (i64, i64) {
    let count = "SELECT count(*), count(DISTINCT version) FROM _sqlx_migrations WHERE success";
    sqlx::query_as(count).fetch_one(&mut options.connect().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn migrations_that_start_together_run_once_and_all_succeed() {
    let options = database::empty().await;
    let migrate = || store::migrate(&options);
    let (a, b, c, d) = tokio::join!(migrate(), migrate(), migrate(), migrate());
    for result in [a, b, c, d] {
        result.unwrap();
    }
    store::schema_is_current(&options).await.unwrap();
    assert_eq!(applied(&options).await, applied(&database::pristine().await).await);
}

#[tokio::test]
async fn replicas_that_start_together_on_an_empty_database_all_serve() {
    let options = database::empty().await;
    let replica =
        || TestApp::builder().database(options.clone()).settings(|settings| settings.migrate = true).start();
    let (first, second) = tokio::join!(replica(), replica());
    first.admin("org_a").await;
    let identity = first.identity("org_a").await;
    let agent = first.agent(&identity).await;
    let elsewhere = second.with_secret(agent.secret.as_deref().unwrap());
    elsewhere.list_conversations(inkbox_imessage::proto::ListConversationsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_server_refuses_a_schema_older_than_it_needs_and_names_the_remedy() {
    let mut app = TestApp::builder()
        .database(database::empty().await)
        .settings(|settings| settings.migrate = false)
        .launch()
        .await;
    let ended = timeout(PATIENCE, &mut app.running).await.expect("a server that ends").unwrap();
    let error = ended.unwrap_err();
    assert!(matches!(error, ServeError::Schema(SchemaError::Old { found: 0, .. })), "{error:?}");
    assert!(error.to_string().contains("inkbox-imessage migrate"), "{error}");
}

#[tokio::test]
async fn a_schema_that_a_newer_program_has_moved_on_is_served() {
    let options = database::pristine().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (999999, 'from the future', true, '', 0)";
    sqlx::query(newer).execute(&mut options.connect().await.unwrap()).await.unwrap();
    for migrate in [false, true] {
        let app = TestApp::builder()
            .database(options.clone())
            .settings(|settings| settings.migrate = migrate)
            .start()
            .await;
        assert_eq!(app.health("").await, Some("SERVING"));
    }
}

/// All that is said of a schema: columns, constraints, indexes, comments.
async fn said_of(options: &PgConnectOptions) -> Vec<String> {
    let all = "
        SELECT format('%s.%s %s %s %s', c.oid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      coalesce(pg_get_expr(d.adbin, d.adrelid), '') || coalesce(col_description(c.oid, a.attnum), ''))
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
        UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
        UNION ALL SELECT format('%s %s %s', indexdef, c.reloptions, obj_description(c.oid)) FROM pg_indexes
        JOIN pg_class c ON c.relname = indexname WHERE schemaname = 'public'
        UNION ALL SELECT format('%s %s %s', oid::regclass, reloptions, obj_description(oid)) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        UNION ALL SELECT 'key_epoch ' || count(*) FROM key_epoch
        UNION ALL SELECT format('%s %s %s', version, description, checksum) FROM _sqlx_migrations
        ORDER BY 1";
    sqlx::query_scalar(all).fetch_all(&mut options.connect().await.unwrap()).await.unwrap()
}

#[tokio::test]
async fn statement_by_statement_migrations_make_the_same_schema_and_are_known_afterwards() {
    let options = database::empty().await;
    let mut connection = options.connect().await.unwrap();
    for _ in 0..2 {
        store::apply_by_statement(&mut connection).await.unwrap();
    }
    let (said, usual) = (said_of(&options).await, said_of(&database::pristine().await).await);
    assert!(said.len() > 200, "{}", said.len());
    assert_eq!(said, usual);
    store::migrate(&options).await.unwrap();
    assert_eq!(said_of(&options).await, usual);
}

/// The last migration of before tables could be distributed: from the next one on each has to work on both.
const UNDISTRIBUTED: &str = "0008";

/// What a distributed database refuses in a migration, as far as the catalog does not show it afterwards.
fn refused(statement: &str) -> Option<&'static str> {
    let tokens = checked_queries::tokens(statement);
    let words: Vec<_> = tokens.iter().map(String::as_str).collect();
    let has = |pair: [&str; 2]| words.windows(2).any(|two| two == pair);
    let references = words.iter().filter(|word| **word == "references").count();
    if words.starts_with(&["create", "table"]) && has(["references", "organizations"]) && references > 1 {
        return Some("refers to organizations and to what is an organization's: the latter says both");
    }
    if !words.starts_with(&["alter", "table"]) {
        return None;
    }
    let mut depth = 0;
    let several = words.iter().any(|word| {
        depth += i32::from(*word == "(") - i32::from(*word == ")");
        *word == "," && depth == 0
    });
    if has(["add", "column"])
        && ["check", "unique", "primary", "references"].iter().any(|it| words.contains(it))
    {
        Some("adds a column together with its constraint: add the column, then the constraint by name")
    } else if has(["add", "constraint"]) && several {
        Some("adds a constraint beside something else: one statement each")
    } else {
        None
    }
}

#[test]
fn migrations_that_come_later_do_nothing_that_a_distributed_database_refuses() {
    for path in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations")).unwrap() {
        let path = path.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let sql = std::fs::read_to_string(&path).unwrap();
        if &name[..4] > UNDISTRIBUTED {
            for statement in store::citus::statements(&sql) {
                assert_eq!(refused(statement), None, "{name}: {statement}");
            }
        }
    }
    for bad in [
        "ALTER TABLE lines ADD COLUMN carrier smallint NOT NULL DEFAULT 1 CHECK (carrier IN (1, 2, 3))",
        "ALTER TABLE messages ADD COLUMN draft_id uuid REFERENCES drafts (id)",
        "ALTER TABLE messages ADD COLUMN a integer, ADD CONSTRAINT b CHECK (a > 0)",
        "CREATE TABLE drafts (a text REFERENCES organizations (id), b text REFERENCES messages (id))",
    ] {
        assert!(refused(bad).is_some(), "{bad}");
    }
    for good in [
        "ALTER TABLE messages ADD COLUMN a integer, ADD COLUMN b text NOT NULL DEFAULT ''",
        "ALTER TABLE messages ADD CONSTRAINT b CHECK (a IN (1, 2))",
        "CREATE TABLE drafts (id uuid, CONSTRAINT drafts_pkey PRIMARY KEY (id))",
        "CREATE TABLE drafts (a text REFERENCES organizations (id))",
    ] {
        assert_eq!(refused(good), None, "{good}");
    }
}
