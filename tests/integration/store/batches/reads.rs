//! Gets and lists.

use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::proto::{ConversationSummary, ListConversationsRequest};
use sqlx::{ConnectOptions as _, raw_sql};
use tokio::time::{Instant, timeout};
use tonic::Code;
use uuid::Uuid;

use super::{DELAY, far, get, slow};
use crate::support::callers::Caller;
use crate::support::locks::{commit, until_waiting};
use crate::support::proxy::{NetworkState, Proxy};
use crate::support::{Human, TestApp, assert_reason, eventually};

/// In which every call is answered while the database is not.
const ANSWERED: Duration = Duration::from_secs(3);

/// The same with an agent whose key is known, and a conversation of its.
async fn far_agent() -> (TestApp, Proxy, Caller, String) {
    let (app, proxy) = far().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    get(&agent, &id).await.unwrap();
    (app, proxy, agent, id)
}

#[tokio::test]
async fn each_caller_of_many_at_once_gets_its_own_answer_and_they_share_statements() {
    let (app, proxy) = far().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let mut ids = vec![Uuid::from_u128(1).to_string()];
    for identity in [&mine, &sibling, &foreign] {
        ids.push(human.converses(identity, "hello").await.1);
    }
    let [absent, of_mine, of_sibling, of_foreign] = &ids[..] else { unreachable!() };
    let callers = [
        (app.admin("org_a").await, vec![of_mine, of_sibling]),
        (app.agent(&mine).await, vec![of_mine]),
        (app.agent(&sibling).await, vec![of_sibling]),
        (app.admin("org_b").await, vec![of_foreign]),
    ];
    // So that their keys are known.
    for (caller, visible) in &callers {
        get(caller, visible[0]).await.unwrap();
    }

    proxy.set(slow());
    let calls = callers.iter().flat_map(|(caller, visible)| {
        let ids = [absent, of_mine, of_sibling, of_foreign].repeat(8);
        ids.into_iter().map(async move |id| (visible.contains(&id), id.clone(), get(caller, id).await))
    });
    for (is_visible, id, answer) in join_all(calls).await {
        if is_visible {
            assert_eq!(answer.unwrap().conversation.unwrap().id, id);
        } else {
            assert_reason(answer, "NOT_FOUND");
        }
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_takes_no_answer_from_others() {
    let (_app, proxy, agent, id) = far_agent().await;

    proxy.set(slow());
    let calls = (0..24_u32).map(|n| {
        let (agent, id) = (&agent, &id);
        async move {
            // Some while their statement is under way, some while they wait for it.
            let patience = if n % 2 == 0 { DELAY / 2 * (n % 6) } else { ANSWERED };
            timeout(patience, get(agent, id)).await.ok()
        }
    });
    for (n, answer) in join_all(calls).await.into_iter().enumerate() {
        match answer {
            Some(answer) => assert_eq!(answer.unwrap().conversation.unwrap().id, id),
            None => assert!(n % 2 == 0, "{n} has waited in vain"),
        }
    }
}

#[tokio::test]
async fn all_who_wait_for_a_database_that_does_not_answer_are_told_in_time() {
    let (_app, proxy, agent, id) = far_agent().await;

    proxy.set(NetworkState { stalled: true, ..NetworkState::default() });
    let asked = Instant::now();
    for answer in join_all((0..24).map(|_| get(&agent, &id))).await {
        assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    }
    assert!(asked.elapsed() < ANSWERED, "{:?}", asked.elapsed());
    proxy.set(NetworkState::default());
    eventually("conversations can be read again", async || get(&agent, &id).await.ok()).await;
}

#[tokio::test]
async fn another_statement_begins_beside_those_that_take_long() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;

    let mut session = app.options.connect().await.unwrap();
    let lock = "BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE";
    raw_sql(lock).execute(&mut session).await.unwrap();
    let mut calls = Vec::new();
    for statements in 1..=4 {
        let (agent, id) = (agent.clone(), id.clone());
        calls.push(tokio::spawn(async move { get(&agent, &id).await }));
        until_waiting(&app, statements).await;
    }
    commit(session).await;
    for answer in join_all(calls).await {
        assert_eq!(answer.unwrap().unwrap().conversation.unwrap().id, id);
    }
}

/// What is listed: rows, and whether there are more.
async fn listed(caller: &Caller, request: ListConversationsRequest) -> (Vec<ConversationSummary>, String) {
    let page = caller.list_conversations(request).await.unwrap();
    (page.conversations, page.next_page_token)
}

#[tokio::test]
async fn each_page_of_many_at_once_has_its_own_rows_in_their_order() {
    let (app, proxy) = far().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    for n in 0..7 {
        let human = Human::new(&app, &format!("+1555123000{n}")).await;
        human.converses(if n % 3 == 0 { &sibling } else { &mine }, "hello").await;
    }
    let (admin, agents) = (app.admin("org_a").await, [app.agent(&mine).await, app.agent(&sibling).await]);
    let page = |page_token| ListConversationsRequest { limit: Some(2), page_token, ..Default::default() };
    // One page after the other, each alone.
    let mut pages = Vec::new();
    for caller in [&admin, &agents[0], &agents[1]] {
        let mut token = String::new();
        loop {
            let (rows, next) = listed(caller, page(token.clone())).await;
            pages.push((caller, token, rows));
            if next.is_empty() {
                break;
            }
            token = next;
        }
    }
    let numbers: Vec<usize> = pages.iter().map(|(_, _, rows)| rows.len()).collect();
    assert_eq!(numbers, [2, 2, 2, 1, 2, 2, 2, 1]);

    proxy.set(slow());
    let calls = [&pages, &pages, &pages].into_iter().flatten().map(async |(caller, token, rows)| {
        assert_eq!(listed(caller, page(token.clone())).await.0, *rows);
    });
    join_all(calls).await;
}
