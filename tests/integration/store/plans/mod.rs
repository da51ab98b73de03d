//! The plans of the hot queries, as the service runs them: planned once, for any parameters (a generic plan). Each must
//! be what the indexes were made for, in a database that is large and uneven.

mod filled;
mod hot_queries;
mod list_conversations;
mod list_messages;
mod retention;

use inkbox_imessage::store::{Affects, Database};
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, raw_sql};

use tokio_util::task::TaskTracker;

use crate::store::checked_queries::CheckedQuery;
use crate::support::database;

/// Runs EXPLAIN on a query with these parameters, which are expressions of SQL.
async fn explain(
    session: &mut PgConnection,
    query: &CheckedQuery,
    parameters: &[&str],
    options: &str,
) -> Value {
    assert_eq!(parameters.len(), query.parameters.len(), "{}", query.sql);
    let (types, values) = (query.parameters.join(", "), parameters.join(", "));
    let types = if types.is_empty() { types } else { format!("({types})") };
    let values = if values.is_empty() { values } else { format!("({values})") };
    let prepare = format!("SET plan_cache_mode = force_generic_plan; PREPARE hot {types} AS {}", query.sql);
    raw_sql(AssertSqlSafe(prepare)).execute(&mut *session).await.unwrap();
    let explain = format!("EXPLAIN (FORMAT JSON{options}) EXECUTE hot {values}");
    let row = raw_sql(AssertSqlSafe(explain)).fetch_one(&mut *session).await.unwrap();
    raw_sql("DEALLOCATE hot").execute(session).await.unwrap();
    sqlx::Row::get::<Value, _>(&row, 0)[0]["Plan"].take()
}

/// The nodes of a plan from the top, each as its type and, where it has one, its index or table.
fn nodes(plan: &Value) -> Vec<String> {
    let text = |key: &str| plan[key].as_str();
    let on = text("Index Name").or(text("Relation Name"));
    let node = text("Node Type").unwrap();
    let mut nodes = vec![on.map_or(node.to_owned(), |on| format!("{node} {on}"))];
    for child in plan["Plans"].as_array().into_iter().flatten() {
        nodes.extend(self::nodes(child));
    }
    nodes
}

#[tokio::test]
async fn the_service_plans_each_statement_once_for_all_parameters() {
    let db = Database::new(&database::pristine().await, 1, TaskTracker::new());
    db.open();
    let mut session = db.acquire(Affects::All).await.unwrap();
    let show = async |connection: &mut inkbox_imessage::store::DbConnection| {
        Ok(sqlx::query_scalar::<_, String>("SHOW plan_cache_mode").fetch_one(connection).await?)
    };
    assert_eq!(session.run("query test", show).await.unwrap(), "force_generic_plan");
}
