//! A database whose `search_path` finds no table: managed databases and administrators set one.

use inkbox_imessage::proto::{ListConversationsRequest, WhoAmIRequest};
use inkbox_imessage::server::Settings;
use inkbox_imessage::store::Pooler;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, raw_sql};

use crate::database::pgbouncer::PgBouncer;
use crate::support::cluster::Cluster;
use crate::support::{Human, TestApp, database};

/// Makes new sessions of a database look for tables where there are none.
async fn hide_tables(options: &PgConnectOptions) {
    let mut connection = options.connect().await.unwrap();
    let name = options.get_database().unwrap();
    let hide = format!("ALTER DATABASE {name} SET search_path = 'nowhere'");
    raw_sql(AssertSqlSafe(hide)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Makes calls that read and write.
async fn assert_serves(app: &TestApp) {
    let identity = app.identity("org_a").await;
    Human::new(app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    agent.who_am_i(WhoAmIRequest {}).await.unwrap();
    let listed = agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(listed.conversations.len(), 1);
}

#[tokio::test]
async fn a_search_path_of_the_database_hides_no_table() {
    let options = database::pristine().await;
    hide_tables(&options).await;
    let app = TestApp::builder().database(options).start().await;
    app.add_lines().await;
    assert_serves(&app).await;
}

#[tokio::test]
async fn a_search_path_of_the_database_misleads_no_migration() {
    let options = database::empty().await;
    hide_tables(&options).await;
    let migrate = |settings: &mut Settings| settings.migrate = true;
    let app = TestApp::builder().database(options).settings(migrate).start().await;
    app.add_lines().await;
    assert_serves(&app).await;
}

#[tokio::test]
async fn a_search_path_of_the_database_hides_no_table_behind_a_pooler() {
    let cluster = Cluster::start(&[]).await;
    let direct = cluster.app(|_| {}).await;
    hide_tables(&cluster.options()).await;
    let pooler = PgBouncer::before(&cluster, "").await;
    let through = pooler.options(&cluster);
    let app = TestApp::builder()
        .database(cluster.options())
        .settings(|settings| {
            settings.database = through;
            settings.pooler = Pooler::Transaction;
        })
        .start()
        .await;
    assert_serves(&app).await;
    drop(direct);
}

#[tokio::test]
async fn a_search_path_in_the_url_is_followed() {
    let options = database::empty().await;
    let mut connection = options.connect().await.unwrap();
    raw_sql("CREATE SCHEMA elsewhere").execute(&mut connection).await.unwrap();
    let there = options.options([("search_path", "elsewhere")]);
    let migrate = |settings: &mut Settings| settings.migrate = true;
    let app = TestApp::builder().database(there).settings(migrate).start().await;
    app.add_lines().await;
    assert_serves(&app).await;
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'elsewhere' AND tablename = 'messages'";
    let count: i64 = sqlx::query_scalar(tables).fetch_one(&mut connection).await.unwrap();
    assert_eq!(count, 1);
}
