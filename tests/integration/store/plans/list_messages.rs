//! `ListMessages`: each view of each scope is a walk along the index of that scope, no further than the page needs.

use super::filled::{LARGE, literal, session};
use super::{explain, nodes};
use crate::store::checked_queries::{CheckedQuery, the_one};

/// Rows of a page, and the one that tells whether there is another page.
const PAGE: u32 = 51;

/// Each scope: what is distinctive of its statements, the index of its messages, the value that names it.
async fn scopes(session: &mut sqlx::PgConnection) -> [(&'static str, &'static str, String); 3] {
    [
        ("m.created_at > '-infinity'", "messages_list_all", "NULL".to_owned()),
        (
            "m.agent_identity_id = $8",
            "messages_list_of_identity",
            literal(session, "SELECT identity FROM sample").await,
        ),
        (
            "m.conversation_id = $8",
            "messages_list_of_conversation",
            literal(session, "SELECT conversation FROM sample").await,
        ),
    ]
}

/// Index or table of every scan of messages in a plan.
fn scans_of_messages(plan: &serde_json::Value) -> Vec<String> {
    nodes(plan).into_iter().filter(|node| node.contains("Scan") && node.contains("messages")).collect()
}

fn parameters(scope: &str, is_read: &[&'static str]) -> Vec<String> {
    let page = [&format!("'{LARGE}'"), "'infinity'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"];
    let mut all: Vec<_> = page.iter().map(ToString::to_string).collect();
    all.extend([PAGE.to_string(), "0".to_owned(), "true".to_owned(), "true".to_owned(), scope.to_owned()]);
    all.extend(is_read.iter().map(ToString::to_string));
    all
}

async fn plan_of(
    session: &mut sqlx::PgConnection,
    query: &CheckedQuery,
    parameters: &[String],
) -> serde_json::Value {
    let borrowed: Vec<&str> = parameters.iter().map(String::as_str).collect();
    explain(session, query, &borrowed, ", ANALYZE, TIMING OFF").await
}

/// Rows that the scans of messages gave and threw away, over all their loops.
fn rows_looked_at(plan: &serde_json::Value) -> f64 {
    let mut rows = 0.0;
    if plan["Relation Name"] == "messages" {
        let of = |key: &str| plan[key].as_f64().unwrap_or(0.0);
        rows += (of("Actual Rows") + of("Rows Removed by Filter")) * of("Actual Loops");
    }
    rows + plan["Plans"].as_array().into_iter().flatten().map(rows_looked_at).sum::<f64>()
}

#[tokio::test]
async fn messages_of_each_scope_and_view_are_walks_along_the_index_of_the_scope() {
    let session = &mut session().await;
    let all_read = "UPDATE conversations SET clear_read = clear_received";
    sqlx::query(all_read).execute(&mut *session).await.unwrap();
    for (condition, index, scope) in scopes(session).await {
        let query = the_one("SELECT", &["UNION ALL", condition, "$9"], &[]);
        for is_read in ["false", "true"] {
            let plan = plan_of(session, &query, &parameters(&scope, &[is_read])).await;
            let scan = format!("Index Scan {index}");
            assert_eq!(scans_of_messages(&plan), [scan.clone(), scan], "{plan:#}");
            assert!(rows_looked_at(&plan) <= f64::from(2 * PAGE), "{plan:#}");
        }
    }
}

#[tokio::test]
async fn unread_messages_are_found_without_looking_at_read_ones() {
    let session = &mut session().await;
    // Everything is read but one message.
    sqlx::query(
        "UPDATE conversations SET clear_read = clear_received WHERE id <> (SELECT conversation FROM sample)",
    )
    .execute(&mut *session)
    .await
    .unwrap();
    for (condition, index, scope) in scopes(session).await {
        let query = the_one("SELECT", &["LATERAL", condition], &[]);
        let plan = plan_of(session, &query, &parameters(&scope, &[])).await;
        let unread = "Index Scan messages_list_of_conversation".to_owned();
        assert_eq!(scans_of_messages(&plan), [unread, format!("Index Scan {index}")], "{plan:#}");
        assert!(rows_looked_at(&plan) <= f64::from(PAGE + 1), "{plan:#}");
    }
}
