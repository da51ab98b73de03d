//! Databases on a PostgreSQL server that the test binary starts, or on the server of `DATABASE_URL`.
//!
//! Copying the template for each test took two thirds of the CPU time of the API tests. So [`fresh`] reuses the databases of
//! tests that have ended: it deletes their rows. A database whose schema a test has changed is not reused.

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::str::FromStr as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use inkbox_imessage::dev::embedded_postgres::{Options, Server};
use inkbox_imessage::store;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, raw_sql};
use tokio::sync::OnceCell;

/// A test opens about a dozen connections, and several tests run at once.
const MAX_CONNECTIONS: u16 = 500;

struct Postgres {
    /// Stops when the process ends, however it ends. `None` with `DATABASE_URL`.
    server: Option<Server>,
    options: PgConnectOptions,
    template: String,
    /// [`SCHEMA`] of the template.
    schema: String,
}

static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
/// A program that is run with the name of each database after it is created and migrated, and with the name of its template
/// if it is a copy. It prepares a server that consists of several, such as the coordinator of a cluster in `DATABASE_URL`.
const SETUP: &str = "INKBOX_TEST_DATABASE_SETUP";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Names of databases whose tests have ended.
static REUSABLE: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    static IN_USE: RefCell<InUse> = const { RefCell::new(InUse(Vec::new())) };
}

/// The databases of one test. libtest runs each test on a new thread, so they become reusable when the thread ends.
struct InUse(Vec<String>);

impl Drop for InUse {
    fn drop(&mut self) {
        REUSABLE.lock().unwrap().append(&mut self.0);
    }
}

/// Whatever a test may change about the tables, their indexes, constraints and triggers.
const SCHEMA: &str = "
    SELECT md5(string_agg(item, ' ' ORDER BY item)) FROM (
        SELECT format('%s %s %s', oid, relname, reloptions) FROM pg_class WHERE relnamespace = 'public'::regnamespace
        UNION ALL
        SELECT format('%s %s %s %s', attrelid, attnum, attname, attnotnull) FROM pg_attribute
        WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
        UNION ALL
        SELECT format('%s %s', conrelid, conname) FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        UNION ALL
        SELECT format('%s %s %s', tgrelid, tgname, tgenabled) FROM pg_trigger) items (item)";
/// Replication role: without checks of foreign keys. Many rows are truncated, because deleted ones would slow down scans.
const DELETE_ROWS: &str = "
    SET session_replication_role = replica;
    SET client_min_messages = warning;
    DO $$
    DECLARE named regclass;
    BEGIN
        FOR named IN SELECT oid FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> '_sqlx_migrations'
        LOOP
            IF pg_relation_size(named) > 262144 THEN
                EXECUTE format('TRUNCATE %s CASCADE', named);
            ELSE
                EXECUTE format('DELETE FROM %s', named);
            END IF;
        END LOOP;
    END $$;
    INSERT INTO key_epoch (epoch) VALUES (0);";

/// A migrated database without rows.
pub async fn fresh() -> PgConnectOptions {
    let postgres = POSTGRES.get_or_init(start).await;
    loop {
        let used = REUSABLE.lock().unwrap().pop();
        let Some(name) = used else { break };
        if let Some(options) = postgres.reset(&name).await {
            IN_USE.with_borrow_mut(|in_use| in_use.0.push(name));
            return options;
        }
    }
    let options = pristine().await;
    if postgres.server.is_some() {
        let name = options.get_database().unwrap().to_owned();
        IN_USE.with_borrow_mut(|in_use| in_use.0.push(name));
    }
    options
}

/// A new migrated database, for tests of the schema, of query plans and of statistics. It is not reused.
pub async fn pristine() -> PgConnectOptions {
    let postgres = POSTGRES.get_or_init(start).await;
    postgres.create(Some(&postgres.template)).await
}

/// A new database without the schema. It is not reused.
pub async fn empty() -> PgConnectOptions {
    POSTGRES.get_or_init(start).await.create(None).await
}

/// A copy of a database, whose connections are closed first, those of an extension's workers included.
pub async fn copy(of: &PgConnectOptions) -> PgConnectOptions {
    let postgres = POSTGRES.get_or_init(start).await;
    let name = of.get_database().unwrap();
    postgres.disconnect(name).await;
    postgres.create(Some(name)).await
}

impl Postgres {
    async fn create(&self, template: Option<&str>) -> PgConnectOptions {
        let name = format!("{}_{}", self.template, NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = self.options.connect().await.unwrap();
        let like = template.map(|template| format!("TEMPLATE {template}")).unwrap_or_default();
        execute(&mut connection, &format!("CREATE DATABASE {name} {like}")).await;
        connection.close().await.unwrap();
        if let Some(template) = template {
            set_up(&[&name, template]).await;
        }
        self.options.clone().database(&name)
    }

    async fn disconnect(&self, name: &str) {
        let disconnect = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
        let mut connection = self.options.connect().await.unwrap();
        sqlx::query(disconnect).bind(name).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// Deletes all rows; `None` if the schema has changed.
    async fn reset(&self, name: &str) -> Option<PgConnectOptions> {
        self.disconnect(name).await;
        let options = self.options.clone().database(name);
        let mut connection = options.connect().await.unwrap();
        let is_unchanged = schema(&mut connection).await == self.schema;
        if is_unchanged {
            raw_sql(DELETE_ROWS).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
        is_unchanged.then_some(options)
    }
}

async fn start() -> Postgres {
    let (server, options) = match std::env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => (None, PgConnectOptions::from_str(&url).unwrap()),
        _ => {
            let server = Server::start(Options {
                data_dir: data_dir("server"),
                durable: false,
                max_connections: MAX_CONNECTIONS,
            })
            .await
            .expect("a private PostgreSQL for the tests (`make setup` installs what it needs)");
            let options = server.connect_options("postgres");
            (Some(server), options)
        }
    };
    let mut connection = options.connect().await.unwrap();
    // Only on the private server: on another one, a second test run may be in progress.
    if server.is_some() {
        drop_leftovers(&mut connection).await;
    }
    let template = format!("inkbox_test_{}", std::process::id());
    execute(&mut connection, &format!("CREATE DATABASE {template}")).await;
    connection.close().await.unwrap();
    let of_template = options.clone().database(&template);
    store::migrate(&of_template).await.unwrap();
    let mut connection = of_template.connect().await.unwrap();
    let schema = schema(&mut connection).await;
    connection.close().await.unwrap();
    set_up(&[&template]).await;
    Postgres { server, options, template, schema }
}

async fn schema(connection: &mut PgConnection) -> String {
    sqlx::query_scalar(SCHEMA).fetch_one(connection).await.unwrap()
}

async fn set_up(names: &[&str]) {
    if let Ok(program) = std::env::var(SETUP) {
        let status = tokio::process::Command::new(program).args(names).status().await.unwrap();
        assert!(status.success(), "{SETUP} {names:?}: {status}");
    }
}

/// A data folder for a private server, which the next run of this test binary uses again.
pub fn data_dir(purpose: &str) -> std::path::PathBuf {
    let mut hash = DefaultHasher::new();
    std::env::current_exe().unwrap().parent().hash(&mut hash);
    let binary = env!("CARGO_CRATE_NAME");
    std::env::temp_dir().join(format!("inkbox-test-{binary}-{purpose}-{:016x}", hash.finish()))
}

/// Drops the databases of earlier runs, which end without dropping them.
async fn drop_leftovers(connection: &mut PgConnection) {
    let leftovers = "SELECT datname FROM pg_database WHERE datname LIKE 'inkbox\\_test\\_%'";
    let names: Vec<String> = sqlx::query_scalar(leftovers).fetch_all(&mut *connection).await.unwrap();
    for name in names {
        execute(connection, &format!("DROP DATABASE {name}")).await;
    }
}

async fn execute(connection: &mut PgConnection, statement: &str) {
    connection.execute(AssertSqlSafe(statement.to_owned())).await.unwrap();
}
