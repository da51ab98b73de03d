//! Snapshots of the database, for assertions that nothing has changed.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;

/// All rows of all tables except the key tables, whose `last_used_at` is written in the background, the heads of event logs,
/// which only move on, and events that refer to nothing any more.
pub async fn everything(pool: &PgPool) -> BTreeMap<String, Value> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT tablename::text FROM pg_tables
         WHERE schemaname = 'public'
           AND tablename NOT IN ('_sqlx_migrations', 'api_keys', 'router_keys', 'key_digests', 'cursor_keys',
                                 'event_logs')",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    assert!(tables.iter().any(|table| table == "messages"), "{tables:?}");
    let mut rows = BTreeMap::new();
    for table in tables {
        let shown = if table == "events" {
            "WHERE conversation_id IS NOT NULL OR connection_id IS NOT NULL"
        } else {
            ""
        };
        let statement = format!(
            "SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY to_jsonb(t)::text), '[]'::jsonb) FROM {table} t {shown}"
        );
        let of_table = sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(pool).await.unwrap();
        rows.insert(table, of_table);
    }
    rows
}

/// The numbers that a statement returns.
pub async fn numbers(pool: &PgPool, statement: &'static str) -> Vec<i64> {
    sqlx::query_scalar(statement).fetch_all(pool).await.unwrap()
}
