//! `ListMessages`: the cost of a page follows its rows, for each scope, view and filter, however many messages and
//! conversations there are besides.

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;

use super::filled::{LARGE, literal, session};
use super::{explain, nodes};
use crate::store::checked_queries::{CheckedQuery, the_one};

/// Rows of a page, and the one that tells whether there is another page.
const PAGE: u32 = 51;
/// After no message.
const START: [&str; 2] = ["'infinity'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"];
/// A statement that finds messages through conversations reads twice as many conversations as the page has rows, each with
/// a message, and then those of the page with theirs.
const THROUGH_CONVERSATIONS: f64 = 6.0 * PAGE as f64 + 2.0;

/// A scope: what is distinctive of its statements, the index of its messages, the value that names it.
struct Scope {
    messages: &'static str,
    conversations: &'static str,
    index: &'static str,
    id: String,
}

async fn scopes(session: &mut PgConnection) -> [Scope; 3] {
    [
        Scope {
            messages: "m.created_at > '-infinity'",
            conversations: "$2::uuid IS NULL",
            index: "messages_list_all",
            id: "NULL".to_owned(),
        },
        Scope {
            messages: "m.agent_identity_id = $2",
            conversations: "c.agent_identity_id = $2",
            index: "messages_list_of_identity",
            id: literal(session, "SELECT identity FROM sample").await,
        },
        Scope {
            messages: "m.conversation_id = $2",
            conversations: "c.id = $2",
            index: "messages_list_of_conversation",
            id: literal(session, "SELECT conversation FROM sample").await,
        },
    ]
}

impl Scope {
    async fn plan(
        &self,
        session: &mut PgConnection,
        query: &CheckedQuery,
        after: [&str; 2],
        more: &[&str],
    ) -> serde_json::Value {
        let organization = format!("'{LARGE}'");
        let rows = PAGE.to_string();
        let mut parameters =
            vec![organization.as_str(), &self.id, after[0], after[1], &rows, &rows, "0", "'-infinity'"];
        parameters.extend(more);
        explain(session, query, &parameters, ", ANALYZE, TIMING OFF").await
    }
}

async fn execute(session: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(session).await.unwrap();
}

/// Index or table of every scan of messages in a plan.
fn scans_of_messages(plan: &serde_json::Value) -> Vec<String> {
    nodes(plan).into_iter().filter(|node| node.contains("Scan") && node.contains("messages")).collect()
}

/// Rows that the scans of both tables gave and threw away, over all their loops.
fn rows_looked_at(plan: &serde_json::Value) -> f64 {
    let mut rows = 0.0;
    if ["messages", "conversations"].iter().any(|table| plan["Relation Name"] == *table) {
        let of = |key: &str| plan[key].as_f64().unwrap_or(0.0);
        let removed = of("Rows Removed by Filter") + of("Rows Removed by Index Recheck");
        rows += (of("Actual Rows") + removed) * of("Actual Loops");
    }
    rows + plan["Plans"].as_array().into_iter().flatten().map(rows_looked_at).sum::<f64>()
}

fn assert_looks_at(rows: f64, plan: &serde_json::Value) {
    assert!(rows_looked_at(plan) <= rows, "{} of {rows}: {plan:#}", rows_looked_at(plan));
}

#[tokio::test]
async fn messages_of_each_scope_and_view_are_walks_along_the_index_of_the_scope() {
    let session = &mut session().await;
    for scope in scopes(session).await {
        let query = the_one("SELECT", &["UNION ALL", scope.messages, "$10"], &[]);
        let plan = scope.plan(session, &query, START, &["true", "true"]).await;
        let scan = format!("Index Scan {}", scope.index);
        assert_eq!(scans_of_messages(&plan), [scan.clone(), scan], "{plan:#}");
        assert_looks_at(f64::from(4 * PAGE), &plan);
    }
}

#[tokio::test]
async fn blocked_messages_of_each_scope_are_a_walk_along_the_index_of_the_scope() {
    let session = &mut session().await;
    for scope in scopes(session).await {
        let query = the_one("SELECT", &["UNION ALL", scope.messages, "$10"], &[]);
        let plan = scope.plan(session, &query, START, &["false", "true"]).await;
        // The first range, of messages that are not blocked, is not read.
        let scan = format!("Index Scan {}", scope.index);
        assert_eq!(scans_of_messages(&plan), [scan.clone(), scan], "{plan:#}");
        assert_looks_at(f64::from(2 * PAGE), &plan);
    }
}

#[tokio::test]
async fn few_unread_messages_are_found_without_looking_at_read_ones() {
    let session = &mut session().await;
    execute(
        session,
        "UPDATE conversations SET clear_read = clear_received, clear_settled = clear_received
         WHERE id <> (SELECT conversation FROM sample)",
    )
    .await;
    for scope in scopes(session).await {
        let first: &[&str] = &["floor", "c.clear_settled", scope.conversations];
        let later: &[&str] = &["LIMIT c.clear_received - c.clear_read", scope.conversations];
        for (parts, flags) in [(first, &["false"][..]), (later, &["false"])] {
            let query = the_one("SELECT", parts, &["start.at"]);
            let plan = scope.plan(session, &query, START, flags).await;
            assert_looks_at(4.0, &plan);
        }
    }
}

#[tokio::test]
async fn a_first_page_of_many_unread_messages_stops_at_the_conversations_that_are_older() {
    let session = &mut session().await;
    for scope in scopes(session).await {
        let query = the_one("SELECT", &["floor", "c.clear_settled", scope.conversations], &["start.at"]);
        let plan = scope.plan(session, &query, START, &["false"]).await;
        assert_looks_at(THROUGH_CONVERSATIONS, &plan);
    }
}

#[tokio::test]
async fn a_later_page_of_many_unread_messages_is_a_walk_along_the_index_of_the_scope() {
    let session = &mut session().await;
    let after = ["now() - interval '100 days'", START[1]];
    for scope in scopes(session).await {
        let query = the_one("SELECT", &["LIMIT 4 *", scope.messages], &[]);
        let plan = scope.plan(session, &query, after, &["false"]).await;
        assert_eq!(scans_of_messages(&plan), [format!("Index Scan {}", scope.index)], "{plan:#}");
        assert_looks_at(f64::from(4 * 2 * PAGE), &plan);
    }
}

#[tokio::test]
async fn read_messages_are_a_walk_along_the_index_of_the_scope() {
    let session = &mut session().await;
    execute(session, "UPDATE conversations SET clear_read = clear_received").await;
    for scope in scopes(session).await {
        let query = the_one("SELECT", &["LIMIT 4 *", scope.messages], &[]);
        let plan = scope.plan(session, &query, START, &["true"]).await;
        assert_eq!(scans_of_messages(&plan), [format!("Index Scan {}", scope.index)], "{plan:#}");
        assert_looks_at(f64::from(4 * 2 * PAGE), &plan);
    }
}

/// One conversation, the newest of all, has thousands of unread messages above one that is read.
#[tokio::test]
async fn read_messages_are_found_without_looking_at_thousands_of_unread_ones() {
    let session = &mut session().await;
    execute(
        session,
        "INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                 provider_message_id, direction, received_number, is_blocked, text, transport, status, created_at,
                 updated_at)
         SELECT org, gen_random_uuid(), conversation, identity, c.assignment_id, line, 'unread-' || n, 1, n, false,
                'unread', 1, 9, now() + n * interval '1 ms', now()
         FROM sample JOIN conversations c ON c.organization_id = org AND c.id = conversation,
              generate_series(2, 5000) n;
         UPDATE conversations SET clear_read = clear_received, clear_settled = clear_received,
                                  clear_settled_at = clear_latest_at;
         UPDATE conversations SET clear_received = 5000, clear_total = 5000, clear_latest_at = now() + interval '5 s'
         WHERE id = (SELECT conversation FROM sample);
         ANALYZE conversations, messages",
    )
    .await;
    for scope in scopes(session).await {
        let query = the_one("SELECT", &["start.at", scope.messages], &[]);
        let plan = scope.plan(session, &query, START, &[]).await;
        assert_looks_at(THROUGH_CONVERSATIONS + f64::from(2 * PAGE), &plan);
    }
}
