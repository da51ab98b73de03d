//! A fresh database for each test, on a PostgreSQL that the test binary starts (or the one of `DATABASE_URL`).

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicU32, Ordering};

use inkbox_imessage::dev::embedded_postgres::{Options, Server};
use inkbox_imessage::store;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use tokio::sync::OnceCell;

/// Every test has up to 8 sessions, and a handful of tests run at once.
const MAX_CONNECTIONS: u16 = 300;

struct Postgres {
    /// Stops when the process ends, however it ends. Absent with `DATABASE_URL`.
    _server: Option<Server>,
    options: PgConnectOptions,
    template: String,
}

static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
/// A program that is run with the name of each database once it is made and migrated, and with the name of its template
/// where it is a copy: for a server that is more than one, such as the coordinator of a cluster in `DATABASE_URL`.
const SETUP: &str = "INKBOX_TEST_DATABASE_SETUP";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A migrated database of the test's own.
pub async fn fresh() -> PgConnectOptions {
    let postgres = POSTGRES.get_or_init(start).await;
    create(Some(&postgres.template)).await
}

/// An empty database of the test's own, without the schema.
pub async fn empty() -> PgConnectOptions {
    create(None).await
}

/// A copy of a database that nobody is connected to, unless an extension's own workers are: they are sent away.
pub async fn copy(of: &PgConnectOptions) -> PgConnectOptions {
    let postgres = POSTGRES.get_or_init(start).await;
    let name = of.get_database().unwrap();
    let send_away = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
    let mut connection = postgres.options.connect().await.unwrap();
    sqlx::query(send_away).bind(name).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    create(Some(name)).await
}

async fn create(template: Option<&str>) -> PgConnectOptions {
    let postgres = POSTGRES.get_or_init(start).await;
    let name = format!("{}_{}", postgres.template, NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = postgres.options.connect().await.unwrap();
    let like = template.map(|template| format!("TEMPLATE {template}")).unwrap_or_default();
    execute(&mut connection, &format!("CREATE DATABASE {name} {like}")).await;
    connection.close().await.unwrap();
    if let Some(template) = template {
        set_up(&[&name, template]).await;
    }
    postgres.options.clone().database(&name)
}

async fn start() -> Postgres {
    let (server, options) = match std::env::var("DATABASE_URL") {
        Ok(url) if !url.is_empty() => (None, PgConnectOptions::from_str(&url).unwrap()),
        _ => {
            let server = Server::start(Options {
                data_dir: data_dir(),
                durable: false,
                max_connections: MAX_CONNECTIONS,
            })
            .await
            .expect("a private PostgreSQL for the tests (`make postgres` installs what it needs)");
            let options = server.connect_options("postgres");
            (Some(server), options)
        }
    };
    let mut connection = options.connect().await.unwrap();
    // Only on our own server: on another one, someone else's run may be under way.
    if server.is_some() {
        drop_leftovers(&mut connection).await;
    }
    let template = format!("inkbox_test_{}", std::process::id());
    execute(&mut connection, &format!("CREATE DATABASE {template}")).await;
    connection.close().await.unwrap();
    store::migrate(&options.clone().database(&template)).await.unwrap();
    set_up(&[&template]).await;
    Postgres { _server: server, options, template }
}

async fn set_up(names: &[&str]) {
    if let Ok(program) = std::env::var(SETUP) {
        let status = tokio::process::Command::new(program).args(names).status().await.unwrap();
        assert!(status.success(), "{SETUP} {names:?}: {status}");
    }
}

/// One folder a checkout and test binary: it is used again by the next run, so that nothing piles up.
pub fn data_dir() -> std::path::PathBuf {
    let mut hash = DefaultHasher::new();
    std::env::current_exe().unwrap().parent().hash(&mut hash);
    let binary = env!("CARGO_CRATE_NAME");
    std::env::temp_dir().join(format!("inkbox-test-{binary}-{:016x}", hash.finish()))
}

/// Drops the databases of earlier runs, which had no one to drop them at their end.
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
