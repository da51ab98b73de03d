//! Behind PgBouncer in transaction mode, where statements that follow each other share no session.

use futures_util::future::join_all;
use inkbox_imessage::clock::{Clock as _, SystemClock};
use inkbox_imessage::maintenance::verify;
use inkbox_imessage::proto::{
    ListConversationsRequest, ListMessagesRequest, MarkConversationReadRequest, RevokeApiKeyRequest,
    SendMessageRequest, WhoAmIRequest, send_message_request::Target,
};
use inkbox_imessage::server::{ServeError, Settings};
use inkbox_imessage::store::{self, DatabaseTarget, Pooler, SchemaError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Row as _, raw_sql};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use crate::database::limits::limits;
use crate::database::pgbouncer::PgBouncer;
use crate::database::restart::{RECOVERED, end_of, under_load};
use crate::support::cluster::{Cluster, FAST};
use crate::support::{Human, PATIENCE, TestApp, assert_reason, eventually};

/// What lets a service through that was not told of the pooler.
const TOLERANT: &str = "ignore_startup_parameters = extra_float_digits, options";

/// Sends a service's own connections through a pooler; rows are made past it.
fn through(pooler: &PgConnectOptions) -> impl FnOnce(&mut Settings) {
    let database = pooler.clone();
    move |settings| {
        settings.database = database;
        settings.pooler = Pooler::Transaction;
    }
}

/// One conversation from its beginning to a read answer; gives the number of its messages.
async fn conversation(app: &TestApp, other: &TestApp, n: usize) -> usize {
    let identity = app.identity("org_a").await;
    let agent = other.agent(&identity).await;
    let human = Human::new(app, &format!("+1555123{n:04}")).await;
    let (thread, conversation_id) = human.converses(&identity, "hello").await;
    for n in 0..5 {
        human.says(&thread, &format!("text {n}")).await;
        let target = Some(Target::ConversationId(conversation_id.clone()));
        let text = Some(format!("answer {n}"));
        agent.send_message(SendMessageRequest { target, text, ..Default::default() }).await.unwrap();
    }
    let mark = MarkConversationReadRequest { conversation_id, ..Default::default() };
    assert_eq!(agent.mark_conversation_read(mark).await.unwrap().updated_count, 6);
    let list = agent.list_conversations(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(list.conversations.len(), 1);
    agent.list_messages(ListMessagesRequest::default()).await.unwrap().messages.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_the_few_sessions_of_a_pooler_as_it_comes() {
    let cluster = Cluster::start(&[]).await;
    let pooler = PgBouncer::before(&cluster, "").await;
    let options = pooler.options(&cluster);
    let app = cluster.app(through(&options)).await;
    let other = TestApp::builder().database(cluster.options()).settings(through(&options)).start().await;
    let counts = join_all((0..10).map(|n| conversation(&app, &other, n))).await;
    assert_eq!(counts, vec![11; 10]);

    // An operator looks through the pooler as well.
    let endpoint = DatabaseTarget::new(options.clone(), Pooler::Transaction);
    assert_eq!(verify::repair(endpoint.clone(), SystemClock.now()).await.unwrap(), []);
    let report = verify::verify(endpoint, SystemClock.now()).await.unwrap();
    assert!(report.violations.is_empty() && report.rows > 110, "{report:?}");

    // What one replica revokes, the other refuses: the poll goes through the pooler as well.
    let admin = app.admin("org_a").await;
    let there = other.with_secret(admin.secret.as_deref().unwrap());
    let api_key_id = there.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id;
    admin.revoke_api_key(RevokeApiKeyRequest { api_key_id }).await.unwrap();
    let refused =
        eventually("the key is refused", async || there.who_am_i(WhoAmIRequest {}).await.err()).await;
    assert_reason(Err::<(), _>(refused), "API_KEY_INVALID");
    // A refusal in the middle of a transaction leaves the session behind it as it was.
    assert_reason(other.stranger().who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
}

#[tokio::test]
async fn every_statement_has_its_limits_and_leaves_nothing_behind() {
    let cluster = Cluster::start(&[]).await;
    let pooler = PgBouncer::before(&cluster, "").await;
    let options = pooler.options(&cluster);
    let app = cluster.app(through(&options)).await;
    let (identity, show) = (app.identity("org_a").await, "SHOW statement_timeout");
    app.agent(&identity).await.list_conversations(ListConversationsRequest::default()).await.unwrap();
    assert_eq!(limits(&app).await, ["5s 2s 10s", "5s 2s 10s"]);

    let mut stranger = options.extra_float_digits(None).connect().await.unwrap();
    for _ in 0..10 {
        let row = raw_sql(show).fetch_one(&mut stranger).await.unwrap();
        assert_eq!(row.get::<&str, _>(0), "0");
        let count = raw_sql("SELECT count(*) FROM pg_prepared_statements").fetch_one(&mut stranger).await;
        assert_eq!(count.unwrap().get::<i64, _>(0), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_postgresql_behind_the_pooler_costs_callers_nothing_but_a_retry() {
    let mut cluster = Cluster::start(&[]).await;
    let pooler = PgBouncer::before(&cluster, "").await;
    let app = cluster.app(through(&pooler.options(&cluster))).await;
    let (load, callers, agent) = under_load(&app).await;
    load.until_served(50).await;
    cluster.stop(FAST);
    eventually("health says so", async || (app.health("").await == Some("NOT_SERVING")).then_some(())).await;
    cluster.start_again().await;
    let back = Instant::now();
    eventually("health says so", async || (app.health("").await == Some("SERVING")).then_some(())).await;
    load.until_served(50).await;
    assert!(back.elapsed() < RECOVERED, "{:?}", back.elapsed());
    end_of(&load, callers, &agent).await;
}

#[tokio::test]
async fn a_pooler_that_nobody_told_of_is_named_and_not_waited_for() {
    let cluster = Cluster::start(&[]).await;
    for besides in ["", TOLERANT] {
        let pooler = PgBouncer::before(&cluster, besides).await;
        let options = pooler.options(&cluster);
        let mut app = TestApp::builder().database(options.clone()).launch().await;
        let ended = timeout(PATIENCE, &mut app.running).await.expect("a server that ends").unwrap();
        let error = ended.unwrap_err();
        assert!(matches!(error, ServeError::Schema(SchemaError::Pooler)), "{error:?}");
        assert!(error.to_string().contains("INKBOX_DATABASE_POOLER=transaction"), "{error}");
        let error = timeout(PATIENCE, store::migrate(&options)).await.expect("an answer").unwrap_err();
        assert!(matches!(error, SchemaError::Pooler), "{error:?}");
        store::schema_is_current(DatabaseTarget::new(options, Pooler::Transaction)).await.unwrap();
    }
}

#[tokio::test]
async fn migrations_through_a_pooler_are_refused_at_once() {
    for arguments in [&["migrate"][..], &["serve", "--migrate"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inkbox-imessage"));
        command.args(arguments).env("DATABASE_URL", "postgres://127.0.0.1:1/none");
        command.env("INKBOX_DATABASE_POOLER", "transaction").env("INKBOX_LISTEN", "127.0.0.1:0");
        let ended = timeout(PATIENCE, command.kill_on_drop(true).output()).await.expect("an end").unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("migrations need PostgreSQL itself") && said.lines().count() == 1, "{said}");
    }
}
