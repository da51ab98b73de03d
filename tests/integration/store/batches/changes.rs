//! Marks and texts.

use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::proto::{
    ConversationSummary, ListConversationsRequest, MarkConversationReadRequest, ReceiveMessageRequest,
    ReceiveOutcome, SendTypingIndicatorRequest,
};
use tokio::time::Instant;
use tonic::Status;

use super::{far, slow};
use crate::support::app::POOL_LINES;
use crate::support::callers::Caller;
use crate::support::locks::{commit, holding, until_waiting};
use crate::support::proxy::NetworkState;
use crate::support::{Human, TestApp, assert_reason, invariants};

async fn mark(caller: &Caller, id: &str) -> Result<i32, Status> {
    let request = MarkConversationReadRequest { conversation_id: id.to_owned(), ..Default::default() };
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
        let request = SendTypingIndicatorRequest { conversation_id: id.clone(), ..Default::default() };
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
    let app = TestApp::with(|settings| settings.sessions = 16).await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let (_, held) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let (_, free) = Human::new(&app, "+15551230002").await.converses(&identity, "hello").await;

    let session = holding(&app, "SELECT id FROM conversations WHERE id = $1 FOR UPDATE", &held).await;
    let waits = [(); 5].map(|()| {
        let (agent, held) = (agent.clone(), held.clone());
        tokio::spawn(async move { mark(&agent, &held).await })
    });
    // More than there are shared statements under way.
    until_waiting(&app, 5).await;
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

/// The one row of a conversation, as an admin of `org_a` sees it.
async fn row(app: &TestApp, id: &str) -> ConversationSummary {
    let admin = app.admin("org_a").await;
    let page = admin.list_conversations(ListConversationsRequest::default()).await.unwrap();
    page.conversations.into_iter().find(|row| row.id == id).unwrap()
}

#[tokio::test]
async fn of_many_texts_at_once_each_conversation_has_its_own() {
    let (app, proxy) = far().await;
    let identity = app.identity("org_a").await;
    let first = Human::new(&app, "+15551230000").await;
    let mut texts = Vec::new();
    for n in 0..16 {
        let human = Human { number: format!("+155512300{n:02}"), ..first.clone() };
        let (thread, id) = human.converses(&identity, "hello").await;
        for words in ["again", "and again"].iter().take(if n < 3 { 2 } else { 1 }) {
            texts.push((human.clone(), human.text(&thread.line, words), id.clone()));
        }
    }

    proxy.set(slow());
    let receiving = texts.iter().map(async |(human, text, id)| {
        let answer = human.router.receive_message(text.clone()).await.unwrap();
        assert_eq!((answer.outcome(), answer.conversation_id.as_ref()), (ReceiveOutcome::Stored, Some(id)));
    });
    join_all(receiving).await;
    proxy.set(NetworkState::default());
    for (_, _, id) in &texts {
        let received: Vec<_> =
            texts.iter().filter(|(.., of)| of == id).map(|(_, text, _)| text.text.as_deref()).collect();
        let row = row(&app, id).await;
        let expected = i32::try_from(received.len()).unwrap() + 1;
        assert_eq!((row.total_count, row.unread_count), (expected, expected));
        assert!(received.contains(&row.latest_text.as_deref()), "{row:?}");
    }
    invariants::hold(&app).await;
}

#[tokio::test]
async fn a_text_waits_for_its_own_conversation_and_for_no_other() {
    let app = TestApp::with(|settings| settings.sessions = 16).await;
    let identity = app.identity("org_a").await;
    let (human, other) = (Human::new(&app, "+15551230001").await, Human::new(&app, "+15551230002").await);
    let (thread, held) = human.converses(&identity, "hello").await;
    let (free, _) = other.converses(&identity, "hello").await;

    let session = holding(&app, "SELECT id FROM conversations WHERE id = $1 FOR UPDATE", &held).await;
    let waits = [(); 5].map(|()| {
        let (human, text) = (human.clone(), human.text(&thread.line, "again"));
        tokio::spawn(async move { human.router.receive_message(text).await })
    });
    // More than there are shared statements under way.
    until_waiting(&app, 5).await;
    let asked = Instant::now();
    assert_eq!(other.says(&free, "again").await.outcome(), ReceiveOutcome::Stored);
    assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    commit(session).await;
    for answer in join_all(waits).await {
        assert_eq!(answer.unwrap().unwrap().outcome(), ReceiveOutcome::Stored);
    }
    let row = row(&app, &held).await;
    assert_eq!((row.total_count, row.latest_text.as_deref()), (6, Some("again")));
    invariants::hold(&app).await;
}

#[tokio::test]
async fn a_text_that_is_refused_takes_no_other_with_it() {
    let (app, proxy) = far().await;
    let identity = app.identity("org_a").await;
    let first = Human::new(&app, "+15551230000").await;
    let mut texts: Vec<(Human, ReceiveMessageRequest)> = Vec::new();
    for n in 0..=POOL_LINES.len() {
        let human = Human { number: format!("+155512300{n:02}"), ..first.clone() };
        let (thread, _) = human.converses(&identity, "hello").await;
        texts.push((human.clone(), human.text(&thread.line, "again")));
    }
    // Two humans on one line, and a carrier that gives both texts the same id.
    texts.sort_by_key(|(_, text)| text.line_number.clone());
    let at = texts.windows(2).position(|two| two[0].1.line_number == two[1].1.line_number).unwrap();
    texts[at + 1].1.provider_message_id = texts[at].1.provider_message_id.clone();

    proxy.set(slow());
    let receiving = texts
        .iter()
        .map(async |(human, text)| human.router.receive_message(text.clone()).await.unwrap().outcome());
    let mut outcomes = join_all(receiving).await;
    let of_the_two: Vec<_> = outcomes.splice(at..at + 2, []).collect();
    assert!(of_the_two.contains(&ReceiveOutcome::Stored), "{of_the_two:?}");
    assert!(of_the_two.contains(&ReceiveOutcome::Duplicate), "{of_the_two:?}");
    assert!(outcomes.iter().all(|outcome| *outcome == ReceiveOutcome::Stored), "{outcomes:?}");
    proxy.set(NetworkState::default());
    invariants::hold(&app).await;
}
