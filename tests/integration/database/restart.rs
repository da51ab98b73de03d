//! PostgreSQL is restarted while the service is under load.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::proto::{
    ListConversationsRequest, ListMessagesRequest, ReceiveMessageRequest, ReceiveOutcome,
};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Status;

use crate::support::callers::Caller;
use crate::support::cluster::{CRASH, Cluster, FAST};
use crate::support::{Human, TestApp, assert_reason, eventually};

/// In which every call works after the database is back.
pub(crate) const RECOVERED: Duration = Duration::from_secs(5);
/// In which every call is answered, also one that the restart meets half way: it consists of a few pieces of work, each
/// with a limit of 2.5 s. What begins while the database is away is answered within 3 s: see tests/store/unavailable.rs.
const ANSWERED: Duration = Duration::from_secs(6);
/// Callers at once: more than sessions.
const CALLERS: usize = 12;
/// How many calls must have been answered before it begins, during it, and after it.
const CALLS: usize = 200;

/// What callers were told.
#[derive(Default)]
pub(crate) struct Load {
    stop: AtomicBool,
    served: AtomicUsize,
    refused: AtomicUsize,
    last_refusal: std::sync::Mutex<Option<Instant>>,
}

impl Load {
    /// Takes an answer in, which may be nothing but a success or a request to try again.
    fn took<T: std::fmt::Debug>(&self, began: Instant, answer: Result<T, Status>) -> Option<T> {
        assert!(began.elapsed() < ANSWERED, "answered after {:?}: {answer:?}", began.elapsed());
        match answer {
            Ok(answer) => {
                self.served.fetch_add(1, Ordering::Relaxed);
                Some(answer)
            }
            refused => {
                assert_reason(refused, "STORAGE_UNAVAILABLE");
                self.refused.fetch_add(1, Ordering::Relaxed);
                *self.last_refusal.lock().unwrap() = Some(began);
                None
            }
        }
    }

    /// Waits until so many more calls were served.
    pub(crate) async fn until_served(&self, calls: usize) {
        let goal = self.served.load(Ordering::Relaxed) + calls;
        eventually("calls are served", async || (self.served.load(Ordering::Relaxed) >= goal).then_some(()))
            .await;
    }

    async fn until_refused(&self) {
        eventually("calls are refused", async || (self.refused.load(Ordering::Relaxed) > 0).then_some(()))
            .await;
    }
}

/// A human who texts all the time, and an agent who lists; every text is sent again until it was taken.
async fn converse(load: Arc<Load>, human: Human, line: String, agent: Caller) -> HashSet<String> {
    let mut taken = HashSet::new();
    while !load.stop.load(Ordering::Relaxed) {
        let text: ReceiveMessageRequest = human.text(&line, "hello");
        while !load.stop.load(Ordering::Relaxed) {
            let answer = load.took(Instant::now(), human.router.receive_message(text.clone()).await);
            if let Some(answer) = answer {
                let outcome = answer.outcome();
                assert!(matches!(outcome, ReceiveOutcome::Stored | ReceiveOutcome::Duplicate), "{answer:?}");
                taken.insert(answer.message_id.unwrap());
                break;
            }
        }
        let list = agent.list_conversations(ListConversationsRequest::default());
        load.took(Instant::now(), list.await);
    }
    taken
}

/// The conversations of an agent under load, until it is stopped.
pub(crate) async fn under_load(app: &TestApp) -> (Arc<Load>, Vec<JoinHandle<HashSet<String>>>, Caller) {
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let load = Arc::new(Load::default());
    let mut callers = Vec::new();
    for n in 0..CALLERS {
        let human = Human::new(app, &format!("+1555123{n:04}")).await;
        let (thread, _) = human.converses(&identity, "hi").await;
        callers.push(tokio::spawn(converse(load.clone(), human, thread.line, agent.clone())));
    }
    (load, callers, agent)
}

/// Stops the load; every text that was taken is there once, and no other.
pub(crate) async fn end_of(load: &Load, callers: Vec<JoinHandle<HashSet<String>>>, agent: &Caller) {
    load.stop.store(true, Ordering::Relaxed);
    let taken = join_all(callers).await.into_iter().flat_map(Result::unwrap).collect::<HashSet<_>>();
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListMessagesRequest { limit: Some(200), page_token, ..Default::default() };
        let page = agent.list_messages(request).await.unwrap();
        listed.extend(page.messages.into_iter().map(|message| message.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let once: HashSet<_> = listed.iter().cloned().collect();
    assert_eq!(once.len(), listed.len());
    let lost: Vec<_> = taken.difference(&once).collect();
    assert!(lost.is_empty(), "{} of {} texts that were taken are gone", lost.len(), taken.len());
    // Each caller's first text, and the one that it may have been refused last.
    assert!(listed.len() <= taken.len() + 2 * CALLERS, "{} texts, {} taken", listed.len(), taken.len());
}

async fn is_survived(stop: &str) {
    let mut cluster = Cluster::start(&[]).await;
    let app = cluster.app(|settings| settings.sessions = 8).await;
    let (load, callers, agent) = under_load(&app).await;
    load.until_served(CALLS).await;
    assert_eq!(load.refused.load(Ordering::Relaxed), 0);

    cluster.stop(stop);
    load.until_refused().await;
    eventually("health says so", async || (app.health("").await == Some("NOT_SERVING")).then_some(())).await;
    assert_eq!(app.health("readiness").await, Some("NOT_SERVING"));
    assert_eq!(app.health("liveness").await, Some("SERVING"));
    cluster.start_again().await;
    let back = Instant::now();
    eventually("health says so", async || (app.health("").await == Some("SERVING")).then_some(())).await;
    assert!(back.elapsed() < RECOVERED, "health took {:?}", back.elapsed());
    load.until_served(CALLS).await;
    assert!(back.elapsed() < RECOVERED, "calls took {:?}", back.elapsed());
    load.until_served(5 * CALLS).await;
    let last = load.last_refusal.lock().unwrap().unwrap();
    assert!(last < back + RECOVERED, "refused {:?} after it was back", last - back);

    end_of(&load, callers, &agent).await;
    assert!(!app.running.is_finished());
    assert_eq!(app.health("liveness").await, Some("SERVING"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_costs_callers_nothing_but_a_retry() {
    is_survived(FAST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_under_load_costs_callers_nothing_but_a_retry() {
    is_survived(CRASH).await;
}
