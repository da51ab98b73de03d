//! `ListConversations`: one walk along one index, whatever the view and however deep the page.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, raw_sql};

use super::filled::{CONVERSATIONS, LARGE, literal, session};
use super::{explain, nodes};
use crate::store::checked_queries::{CheckedQuery, the_one};

/// The longest page, and the row that tells whether there is another one.
const LONGEST_PAGE: u32 = 201;
/// Index pages and the like that a page may cost besides one heap page a row.
const SPARE_BUFFERS: u64 = 30;

/// Index of each list of conversations: a distinctive column, the index, the index for one identity.
const LISTS: [(&str, &str, &str); 3] = [
    ("ORDER BY latest_at DESC", "conversations_list_all", "conversations_list_all_of_identity"),
    ("ORDER BY clear_latest_at DESC", "conversations_list_clear", "conversations_list_clear_of_identity"),
    (
        "ORDER BY blocked_latest_at DESC",
        "conversations_list_blocked",
        "conversations_list_blocked_of_identity",
    ),
];

/// The end of the middle of the list, where a page by token may well begin.
async fn position(session: &mut PgConnection) -> (String, String) {
    let middle = format!(
        "FROM conversations WHERE organization_id = '{LARGE}' ORDER BY latest_at DESC, id DESC LIMIT 1 OFFSET {}",
        CONVERSATIONS / 2
    );
    (
        literal(session, &format!("SELECT latest_at {middle}")).await,
        literal(session, &format!("SELECT id {middle}")).await,
    )
}

/// The six statements of a page by itself, with parameters for a longest page in the middle, and their indexes.
async fn lists(session: &mut PgConnection) -> Vec<(CheckedQuery, Vec<String>, &'static str)> {
    let (at, id) = position(session).await;
    let identity = literal(session, &format!("md5('{LARGE}' || 2)")).await;
    let page = [
        format!("'{LARGE}'"),
        at,
        id,
        LONGEST_PAGE.to_string(),
        "0".to_owned(),
        "'-infinity'".to_owned(),
        "'infinity'".to_owned(),
    ];
    let mut lists = Vec::new();
    for (order, of_all, of_identity) in LISTS {
        let text = ["FROM conversations", order, "< ($2, $3)"];
        lists.push((the_one("SELECT", &text, &["$8"]), page.to_vec(), of_all));
        let page = page.iter().chain([&identity]).cloned().collect();
        lists.push((the_one("SELECT", &[&text[..], &["$8"]].concat(), &[]), page, of_identity));
    }
    lists
}

fn borrowed(parameters: &[String]) -> Vec<&str> {
    parameters.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn each_list_of_conversations_is_one_walk_along_its_index() {
    let session = &mut session().await;
    for (query, parameters, index) in lists(session).await {
        let plan = explain(session, &query, &borrowed(&parameters), "").await;
        assert_eq!(nodes(&plan), ["Limit".to_owned(), format!("Index Scan {index}")], "{plan:#}");
    }
}

#[tokio::test]
async fn pages_of_conversations_read_together_are_each_a_walk_along_its_index() {
    let session = &mut session().await;
    for (order, of_all, of_identity) in LISTS {
        let text = ["FROM unnest($2", order];
        let all = (the_one("SELECT", &text, &["$8"]), of_all);
        let one = (the_one("SELECT", &[&text[..], &["$8"]].concat(), &[]), of_identity);
        for (query, index) in [all, one] {
            let identity = format!("ARRAY[md5('{LARGE}' || 2)::uuid]");
            let large = format!("'{LARGE}'");
            let page = [
                &large,
                "ARRAY[now()]",
                "ARRAY[gen_random_uuid()]",
                "201",
                "0",
                "'-infinity'",
                "'infinity'",
                &identity,
            ];
            let plan = explain(session, &query, &page[..query.parameters.len()], "").await;
            let walks = ["Nested Loop", "Function Scan", "Limit", &format!("Index Scan {index}")];
            assert_eq!(nodes(&plan), walks, "{plan:#}");
        }
    }
}

#[tokio::test]
async fn a_page_of_conversations_costs_its_rows_whatever_the_number_of_messages() {
    let session = &mut session().await;
    let lists = lists(session).await;
    // No list goes near them, and without them the messages are there at once.
    let drop_indexes = "ALTER TABLE messages DROP CONSTRAINT messages_pkey CASCADE, DROP CONSTRAINT messages_one_per_provider_id;
                        DROP INDEX messages_list_of_conversation, messages_list_of_identity, messages_list_all";
    raw_sql(drop_indexes).execute(&mut *session).await.unwrap();
    let mut costs = Vec::new();
    for messages in [10, 100_000] {
        let (at, _) = position(session).await;
        // In the first conversations of the page that begins in the middle.
        let talk = format!(
            "INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
                                   provider_message_id, direction, received_number, is_blocked, text, transport, status,
                                   created_at, updated_at)
             SELECT organization_id, gen_random_uuid(), c.id, agent_identity_id, assignment_id, '+12025550001',
                    '{messages}-' || n, 1, n, false, 'more', 1, 9, latest_at, latest_at
             FROM (SELECT * FROM conversations WHERE organization_id = '{LARGE}' AND latest_at < {at}
                   ORDER BY latest_at DESC LIMIT 1) c, generate_series(1, {messages}) n"
        );
        raw_sql(AssertSqlSafe(talk)).execute(&mut *session).await.unwrap();
        for (query, parameters, index) in &lists {
            let plan = explain(session, query, &borrowed(parameters), ", ANALYZE, BUFFERS, TIMING OFF").await;
            let scan = &plan["Plans"][0];
            let read = scan["Actual Rows"].as_f64().unwrap();
            assert!((read - f64::from(LONGEST_PAGE)).abs() < 0.5, "{index}: {plan:#}");
            assert_eq!(scan["Rows Removed by Filter"].as_u64().unwrap_or(0), 0, "{index}: {plan:#}");
            let count = |key: &str| plan[key].as_u64().unwrap();
            let buffers = count("Shared Hit Blocks") + count("Shared Read Blocks");
            assert!(buffers <= u64::from(LONGEST_PAGE) + SPARE_BUFFERS, "{index}: {plan:#}");
            costs.push(buffers);
        }
    }
    assert_eq!(costs[..lists.len()], costs[lists.len()..], "buffers with 10 and with 100,000 messages");
}
