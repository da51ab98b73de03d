//! Bringing the schema up to date, and what a server makes of one that is not as it knows it.

use inkbox_imessage::server::ServeError;
use inkbox_imessage::store::{self, SchemaError};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::time::timeout;

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
    assert_eq!(applied(&options).await, applied(&database::fresh().await).await);
}

#[tokio::test]
async fn replicas_that_start_together_on_an_empty_database_all_serve() {
    let options = database::empty().await;
    let replica = || TestApp::on(options.clone(), |settings| settings.migrate = true);
    let (first, second) = tokio::join!(replica(), replica());
    first.admin("org_a").await;
    let identity = first.identity("org_a").await;
    let agent = first.agent(&identity).await;
    let elsewhere = second.with_secret(agent.secret.as_deref().unwrap());
    elsewhere.list_conversations(inkbox_imessage::proto::ListConversationsRequest::default()).await.unwrap();
}

#[tokio::test]
async fn a_server_refuses_a_schema_older_than_it_needs_and_names_the_remedy() {
    let mut app = TestApp::launch(database::empty().await, |settings| settings.migrate = false).await;
    let ended = timeout(PATIENCE, &mut app.running).await.expect("a server that ends").unwrap();
    let error = ended.unwrap_err();
    assert!(matches!(error, ServeError::Schema(SchemaError::Old { found: 0, .. })), "{error:?}");
    assert!(error.to_string().contains("inkbox-imessage migrate"), "{error}");
}

#[tokio::test]
async fn a_schema_that_a_newer_program_has_moved_on_is_served() {
    let options = database::fresh().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (999999, 'from the future', true, '', 0)";
    sqlx::query(newer).execute(&mut options.connect().await.unwrap()).await.unwrap();
    for migrate in [false, true] {
        let app = TestApp::on(options.clone(), |settings| settings.migrate = migrate).await;
        assert_eq!(app.health("").await, Some("SERVING"));
    }
}
