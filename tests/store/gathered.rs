//! Callers of the same moment share statements, and each gets an answer of its own.

use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::domain::LineRole;
use inkbox_imessage::proto::{
    GetConversationRequest, GetConversationResponse, MarkConversationReadRequest, ReceiveOutcome,
    SendTypingIndicatorRequest,
};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::callers::Caller;
use crate::support::locks::{commit, holding, until_waiting};
use crate::support::proxy::{Proxy, Weather};
use crate::support::{Human, TestApp, assert_reason, database, eventually};

/// One way to the database: one after the other on one session, a tenth of the calls below would use up the time of all.
const DELAY: Duration = Duration::from_millis(60);
/// In which every call is answered while the database is not.
const ANSWERED: Duration = Duration::from_secs(3);

/// A service with a single session, far from its database.
async fn far() -> (TestApp, Proxy) {
    let direct = database::fresh().await;
    let proxy = Proxy::unix(&direct);
    let app = TestApp::on(proxy.options(&direct), |settings| settings.sessions = 1).await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    for line in POOL_LINES {
        app.add_line(line, LineRole::Pool).await;
    }
    (app, proxy)
}

fn slow() -> Weather {
    Weather { delay: DELAY, steady: true, ..Weather::default() }
}

async fn get(caller: &Caller, id: &str) -> Result<GetConversationResponse, Status> {
    let request = GetConversationRequest { conversation_id: id.to_owned(), agent_identity_id: None };
    caller.get_conversation(request).await
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
    let (app, proxy) = far().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    get(&agent, &id).await.unwrap();

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
    let (app, proxy) = far().await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    get(&agent, &id).await.unwrap();

    proxy.set(Weather { stalled: true, ..Weather::default() });
    let asked = Instant::now();
    for answer in join_all((0..24).map(|_| get(&agent, &id))).await {
        assert_eq!(answer.unwrap_err().code(), Code::Unavailable);
    }
    assert!(asked.elapsed() < ANSWERED, "{:?}", asked.elapsed());
    proxy.set(Weather::default());
    eventually("conversations can be read again", async || get(&agent, &id).await.ok()).await;
}

async fn mark(caller: &Caller, id: &str) -> Result<i32, Status> {
    let request = MarkConversationReadRequest { conversation_id: id.to_owned() };
    Ok(caller.mark_conversation_read(request).await?.updated_count)
}

#[tokio::test]
async fn of_many_marks_at_once_each_conversations_share_its_messages_and_no_others() {
    let (app, proxy) = far().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let mut ids = Vec::new();
    for (number, unread) in [("+15551230001", 3), ("+15551230002", 1), ("+15551230003", 2)] {
        let human = Human::new(&app, number).await;
        let (thread, id) = human.converses(&identity, "hello").await;
        for _ in 1..unread {
            human.says(&thread, "again").await;
        }
        // So that the key and the line's carrier are known.
        let request = SendTypingIndicatorRequest { conversation_id: id.clone() };
        agent.send_typing_indicator(request).await.unwrap();
        ids.push((id, unread));
    }

    proxy.set(slow());
    let marks = (0..24).map(|n| {
        let (agent, id) = (&agent, &ids[n % ids.len()].0);
        async move { (id, mark(agent, id).await.unwrap()) }
    });
    let counts = join_all(marks).await;
    for (id, unread) in &ids {
        let counts: Vec<i32> =
            counts.iter().filter(|(marked, _)| *marked == id).map(|(_, count)| *count).collect();
        assert_eq!(counts.iter().sum::<i32>(), *unread, "{counts:?}");
        assert!(counts.iter().all(|count| *count == 0 || count == unread), "{counts:?}");
    }
}

#[tokio::test]
async fn a_mark_waits_for_its_own_conversation_and_for_no_other() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let (_, held) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let (_, free) = Human::new(&app, "+15551230002").await.converses(&identity, "hello").await;

    let session = holding(&app, "SELECT id FROM conversations WHERE id = $1 FOR UPDATE", &held).await;
    // More than there are shared statements under way.
    let waits = [(); 3].map(|()| {
        let (agent, held) = (agent.clone(), held.clone());
        tokio::spawn(async move { mark(&agent, &held).await })
    });
    until_waiting(&app, 3).await;
    let asked = Instant::now();
    assert_eq!(mark(&agent, &free).await.unwrap(), 1);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    commit(session).await;
    let counts = join_all(waits).await.into_iter().map(|marked| marked.unwrap().unwrap());
    assert_eq!(counts.sum::<i32>(), 1);
}

#[tokio::test]
async fn texts_of_many_humans_at_once_each_go_their_own_way() {
    let (app, proxy) = far().await;
    let (mine, foreign) = (app.identity("org_a").await, app.identity("org_b").await);
    let mut texts = Vec::new();
    let mut number = 15_551_230_000_u64;
    let first = Human::new(&app, "+15551230000").await;
    for _ in 0..6 {
        for identity in [Some(&mine), Some(&foreign), None] {
            number += 1;
            let human = Human { number: format!("+{number}"), ..first.clone() };
            let (line, goes_to, outcome) = match identity {
                Some(identity) => {
                    let (thread, id) = human.converses(identity, "hello").await;
                    (thread.line, Some(id), ReceiveOutcome::Stored)
                }
                None => (POOL_LINES[0].to_owned(), None, ReceiveOutcome::NotConnected),
            };
            texts.push((human.clone(), line, goes_to, Some(outcome)));
            texts.push((human, "+12025550199".to_owned(), None, None));
        }
    }

    proxy.set(slow());
    let receiving = texts.into_iter().map(|(human, line, goes_to, outcome)| async move {
        (human.router.receive_message(human.text(&line, "again")).await, goes_to, outcome)
    });
    for (answer, goes_to, outcome) in join_all(receiving).await {
        match outcome {
            Some(outcome) => {
                let answer = answer.unwrap();
                assert_eq!((answer.outcome(), &answer.conversation_id), (outcome, &goes_to));
            }
            None => {
                assert_reason(answer, "NOT_FOUND");
            }
        }
    }
}
