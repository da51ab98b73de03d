//! Marking read is one HOT update of one row: PostgreSQL's own counters say so.

use inkbox_imessage::proto::MarkConversationReadRequest;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::support::metrics::Scrape;
use crate::support::{Human, TestApp, database, eventually};

/// Ends a service with all its sessions: a session that ends has handed in what it counted.
async fn end(mut app: TestApp, connection: &mut PgConnection) {
    app.stop.cancel();
    (&mut app.running).await.unwrap().unwrap();
    app.pool.close().await;
    drop(app);
    let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                  AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let connection = tokio::sync::Mutex::new(connection);
    eventually("the sessions have ended", async || {
        let mut connection = connection.lock().await;
        let others: i64 = sqlx::query_scalar(others).fetch_one(&mut **connection).await.unwrap();
        (others == 0).then_some(())
    })
    .await;
}

/// Rows updated, and HOT among them, since the last reset.
async fn updates(connection: &mut PgConnection, table: &str) -> (i64, i64) {
    sqlx::query_as("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = $1")
        .bind(table)
        .fetch_one(connection)
        .await
        .unwrap()
}

/// Adds non-blocked messages to a conversation, as if the human had sent them.
async fn add_unread(connection: &mut PgConnection, conversation: &str, count: i32) {
    let statement = "
        WITH summary AS (
            UPDATE conversations SET clear_total = clear_total + $2, clear_received = clear_received + $2 WHERE id = $1
            RETURNING *)
        INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                              provider_message_id, direction, received_number, is_blocked, text, transport, status,
                              created_at, updated_at)
        SELECT organization_id, gen_random_uuid(), id, agent_identity_id, assignment_id, 'x', n::text, 1,
               clear_received - $2 + n, false, 'more', 1, 9, latest_at, latest_at
        FROM summary, generate_series(1, $2) n";
    let conversation = Uuid::try_parse(conversation).unwrap();
    sqlx::query(statement).bind(conversation).bind(count).execute(connection).await.unwrap();
}

#[tokio::test]
async fn a_mark_is_one_hot_update_however_many_messages_were_unread() {
    let options = database::pristine().await;
    let app = TestApp::builder().database(options.clone()).start().await;
    app.add_lines().await;
    let mut connection = options.connect().await.unwrap();
    let identity = app.identity("org_a").await;
    let secret = app.agent(&identity).await.secret.unwrap();
    let (_, one) = Human::new(&app, "+15551230001").await.converses(&identity, "one").await;
    let (_, many) = Human::new(&app, "+15551230002").await.converses(&identity, "first of many").await;
    add_unread(&mut connection, &many, 999).await;
    end(app, &mut connection).await;
    // This session's own counts as well, which it would hand in some time later.
    for statement in ["SELECT pg_stat_force_next_flush()", "SELECT pg_stat_reset()"] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }

    let app = TestApp::builder().database(options).start().await;
    // The first cleanup settles horizons, which is an update of another kind.
    eventually("the first cleanup is over", async || {
        let scrape = Scrape::of(app.metrics).await;
        (scrape.value("inkbox_cleanup_runs_total", &[("outcome", "done")]) == Some(1.0)).then_some(())
    })
    .await;
    let agent = app.with_secret(&secret);
    for (conversation, unread) in [(&one, 1), (&many, 1_000), (&many, 0)] {
        let request =
            MarkConversationReadRequest { conversation_id: conversation.clone(), ..Default::default() };
        assert_eq!(agent.mark_conversation_read(request).await.unwrap().updated_count, unread);
    }
    end(app, &mut connection).await;
    assert_eq!(updates(&mut connection, "conversations").await, (3, 3), "one HOT update a mark");
    assert_eq!(updates(&mut connection, "messages").await, (0, 0));
}
