//! Lists filtered by read state are the whole list, filtered: however many messages and conversations lie between those
//! of a page, and whatever came late.

use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::proto::{
    ListMessagesRequest, MarkConversationReadRequest, Message, ReceiveMessageRequest,
};
use prost_types::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{all_messages, send};
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, rows};

const HUMANS: usize = 12;
const STEPS: usize = 190;

/// One identity and its conversations: humans write, some of it late, some of it blocked; the agent answers or marks, each
/// without the other as often as not.
async fn history(app: &TestApp, seed: u64) -> (Caller, Vec<String>) {
    let mut random = StdRng::seed_from_u64(seed);
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let mut humans = Vec::new();
    for n in 0..HUMANS {
        let human = Human::new(app, &format!("+155512300{n:02}")).await;
        let (thread, conversation_id) = human.converses(&identity, "hello").await;
        humans.push((human, thread, conversation_id));
    }
    for step in 0..STEPS - HUMANS {
        app.clock.advance(TimeDelta::seconds(1));
        // The first humans are busy, the last ones fall silent.
        let active = random.random_range(0..HUMANS);
        let (human, thread, conversation_id) = &humans[random.random_range(0..=active)];
        match random.random_range(0..10) {
            0..=5 => {
                let late = if random.random_bool(0.2) { random.random_range(1..100) } else { 0 };
                let at = app.clock.now() - TimeDelta::seconds(late);
                let text = ReceiveMessageRequest {
                    sent_at: Some(Timestamp { seconds: at.timestamp(), nanos: 0 }),
                    ..human.text(&thread.line, &format!("text {step}"))
                };
                human.router.receive_message(text).await.unwrap();
            }
            6 => {
                rows::block(&app.pool, &identity, &human.number).await;
                human.says(thread, &format!("blocked {step}")).await;
                rows::remove_rules(&app.pool, &identity).await;
            }
            7 => drop(send(&agent, conversation_id, &format!("answer {step}")).await),
            _ => {
                let mark = MarkConversationReadRequest {
                    conversation_id: conversation_id.clone(),
                    ..Default::default()
                };
                agent.mark_conversation_read(mark).await.unwrap();
            }
        }
    }
    (app.admin("org_a").await, humans.into_iter().map(|(.., id)| id).collect())
}

async fn pages(caller: &Caller, request: &ListMessagesRequest, rows: i32) -> Vec<Message> {
    let (mut messages, mut page_token) = (Vec::new(), String::new());
    loop {
        let page = ListMessagesRequest { limit: Some(rows), page_token, ..request.clone() };
        let answer = caller.list_messages(page).await.unwrap();
        messages.extend(answer.messages);
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return messages;
        }
    }
}

async fn assert_lists_are_the_whole_list_filtered(admin: &Caller, conversations: &[String], seed: u64) {
    let all = all_messages(admin).await;
    let identity = ListMessagesRequest::default();
    let scopes = [conversations[0].clone(), conversations[HUMANS - 1].clone()];
    let scopes = scopes.map(|id| ListMessagesRequest { conversation_id: Some(id), ..Default::default() });
    for scope in scopes.into_iter().chain([identity]) {
        for (is_read, is_blocked) in
            [(true, None), (true, Some(false)), (false, None), (false, Some(true)), (false, Some(false))]
        {
            let request = ListMessagesRequest { is_read: Some(is_read), is_blocked, ..scope.clone() };
            let expected: Vec<_> = all
                .iter()
                .filter(|message| {
                    scope.conversation_id.as_ref().is_none_or(|id| *id == message.conversation_id)
                        && message.is_read == is_read
                        && is_blocked.is_none_or(|wanted| wanted == message.is_blocked)
                })
                .cloned()
                .collect();
            for rows in [1, 2, 5, 200] {
                assert_eq!(
                    pages(admin, &request, rows).await,
                    expected,
                    "seed {seed}, {rows} rows of {request:?}"
                );
            }
            let skip = ListMessagesRequest { offset: Some(7), limit: Some(5), ..request.clone() };
            let shown = admin.list_messages(skip).await.unwrap().messages;
            let skipped: Vec<_> = expected.into_iter().skip(7).take(5).collect();
            assert_eq!(shown, skipped, "seed {seed}, offset 7 of {request:?}");
        }
    }
}

#[tokio::test]
async fn lists_by_read_state_are_the_whole_list_filtered() {
    for seed in 1..=3 {
        let app = TestApp::start().await;
        let (admin, conversations) = history(&app, seed).await;
        assert_lists_are_the_whole_list_filtered(&admin, &conversations, seed).await;
        cleanup::run_once(&app.parts, Retention::default()).await.unwrap();
        assert_lists_are_the_whole_list_filtered(&admin, &conversations, seed).await;
    }
}

#[tokio::test]
async fn an_answer_or_the_cleanup_takes_conversations_that_were_read_out_of_the_index_of_unread_ones() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    for (number, is_read, is_answered) in
        [("+15551230001", true, false), ("+15551230002", false, false), ("+15551230003", true, true)]
    {
        let (_, conversation_id) = Human::new(&app, number).await.converses(&identity, "hello").await;
        if is_read {
            let mark = MarkConversationReadRequest {
                conversation_id: conversation_id.clone(),
                ..Default::default()
            };
            agent.mark_conversation_read(mark).await.unwrap();
        }
        if is_answered {
            send(&agent, &conversation_id, "hi").await;
        }
    }
    let candidates = async || {
        let rows = "SELECT remote_number FROM conversations WHERE clear_received > clear_settled ORDER BY 1";
        sqlx::query_scalar::<_, String>(rows).fetch_all(&app.pool).await.unwrap()
    };
    assert_eq!(candidates().await, ["+15551230001", "+15551230002"]);
    cleanup::run_once(&app.parts, Retention::default()).await.unwrap();
    assert_eq!(candidates().await, ["+15551230002"]);
}

/// The previous version, which may run beside this one during an upgrade, does not know `clear_settled`.
#[tokio::test]
async fn messages_that_the_previous_version_stored_and_marked_are_in_the_lists() {
    let app = TestApp::start().await;
    let (admin, conversations) = history(&app, 7).await;
    sqlx::query("UPDATE conversations SET clear_settled = 0, clear_settled_at = NULL")
        .execute(&app.pool)
        .await
        .unwrap();
    assert_lists_are_the_whole_list_filtered(&admin, &conversations, 7).await;
}
