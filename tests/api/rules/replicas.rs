//! Several replicas behind a load balancer. No replica depends on the memory of another, so clients may change replica on
//! every call while the replicas restart one by one, and a client that retries as the error says loses nothing.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::*;
use inkbox_imessage::server::Settings;
use tokio::time::{Instant, sleep};
use tonic::transport::Endpoint;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::callers::Caller;
use crate::support::{Human, PATIENCE, TestApp, eventually};

const REPLICAS: usize = 3;
/// How many humans text, each with an agent's software of its own that answers.
const PAIRS: usize = 4;
/// What a client waits where an error says nothing about it: a connection that was refused.
const PAUSE: Duration = Duration::from_millis(20);

fn drains_in_order(settings: &mut Settings) {
    settings.drain.grace = Duration::from_millis(100);
    settings.drain.finish = Duration::from_secs(10);
}

/// Gives each call to the next replica, whether that one is there or not: a balancer that has not noticed yet.
#[derive(Clone, Default)]
struct Balancer {
    addresses: Arc<Mutex<Vec<SocketAddr>>>,
    next: Arc<AtomicUsize>,
    retried: Arc<AtomicUsize>,
    /// Which replicas have answered, by address.
    answered: Arc<Mutex<HashSet<SocketAddr>>>,
}

impl Balancer {
    fn next(&self) -> SocketAddr {
        let addresses = self.addresses.lock().unwrap();
        addresses[self.next.fetch_add(1, Ordering::Relaxed) % addresses.len()]
    }

    /// Makes a call, and makes it again while the error says that this can help.
    async fn call<T, F>(&self, secret: &str, call: impl Fn(Caller) -> F) -> T
    where
        F: Future<Output = Result<T, Status>>,
    {
        let give_up = Instant::now() + PATIENCE;
        loop {
            let address = self.next();
            let channel =
                Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE).connect_lazy();
            match call(Caller::new(channel, Some(secret.to_owned()))).await {
                Ok(answer) => {
                    self.answered.lock().unwrap().insert(address);
                    return answer;
                }
                Err(status) => {
                    let advice = status.get_details_retry_info().and_then(|advice| advice.retry_delay);
                    // A replica that answered says whether to try again; of a connection that was refused, or closed
                    // before the call went out, the client's transport tells.
                    let is_answer = status.get_details_error_info().is_some();
                    let is_gone = [Code::Unavailable, Code::Cancelled].contains(&status.code());
                    let may_retry = if is_answer { advice.is_some() } else { is_gone };
                    assert!(may_retry, "an error that says nothing of trying again: {status:?}");
                    assert!(Instant::now() < give_up, "tried again and again for {PATIENCE:?}: {status:?}");
                    self.retried.fetch_add(1, Ordering::Relaxed);
                    sleep(advice.unwrap_or(PAUSE)).await;
                }
            }
        }
    }
}

/// A human and the agent's software, with what they were told was done.
struct Pair {
    human: Human,
    line: String,
    agent: String,
    router: String,
    conversation_id: String,
}

/// What one pair did, each with an answer.
#[derive(Default)]
struct Done {
    texts: Vec<String>,
    sends: Vec<String>,
}

impl Pair {
    async fn talk(self, balancer: Balancer, stop: Arc<AtomicBool>) -> (String, Done) {
        let mut done = Done::default();
        while !stop.load(Ordering::Relaxed) {
            let number = done.texts.len();
            let text = self.human.text(&self.line, &format!("text {number}"));
            let answer = balancer
                .call(&self.router, |caller| {
                    let text = text.clone();
                    async move { caller.receive_message(text).await }
                })
                .await;
            let outcomes = [ReceiveOutcome::Stored, ReceiveOutcome::Duplicate];
            assert!(outcomes.contains(&answer.outcome()), "{answer:?}");
            done.texts.push(answer.message_id.unwrap());

            let request = SendMessageRequest {
                target: Some(Target::ConversationId(self.conversation_id.clone())),
                text: Some(format!("answer {number}")),
                idempotency_key: Some(format!("answer-{number}")),
                ..Default::default()
            };
            let sent = balancer
                .call(&self.agent, |caller| {
                    let request = request.clone();
                    async move { caller.send_message(request).await }
                })
                .await;
            done.sends.push(sent.message.unwrap().id);

            let request = MarkConversationReadRequest {
                conversation_id: self.conversation_id.clone(),
                ..Default::default()
            };
            balancer
                .call(&self.agent, |caller| {
                    let request = request.clone();
                    async move { caller.mark_conversation_read(request).await }
                })
                .await;
        }
        (self.conversation_id, done)
    }
}

/// Every message of a conversation, page by page, each page from the next replica.
async fn messages(balancer: &Balancer, secret: &str, conversation_id: &str) -> Vec<Message> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = ListMessagesRequest {
            conversation_id: Some(conversation_id.to_owned()),
            limit: Some(7),
            page_token: page_token.clone(),
            ..Default::default()
        };
        let page = balancer
            .call(secret, |caller| {
                let request = request.clone();
                async move { caller.list_messages(request).await }
            })
            .await;
        found.extend(page.messages);
        if page.next_page_token.is_empty() {
            return found;
        }
        page_token = page.next_page_token;
    }
}

#[tokio::test]
async fn clients_that_change_replica_on_every_call_lose_nothing_while_one_after_the_other_restarts() {
    let first = TestApp::with(drains_in_order).await;
    let options = first.options.clone();
    let (admin, router) = (first.admin("org_a").await, first.router().await);
    let (admin, router) = (admin.secret.unwrap(), router.secret.unwrap());
    let mut pairs = Vec::new();
    for number in 0..PAIRS {
        let identity = first.identity("org_a").await;
        let human = Human::new(&first, &format!("+1555123000{number}")).await;
        let (thread, conversation_id) = human.converses(&identity, "hello").await;
        let agent = first.agent(&identity).await.secret.unwrap();
        pairs.push(Pair { human, line: thread.line, agent, router: router.clone(), conversation_id });
    }
    let mut replicas = vec![first];
    while replicas.len() < REPLICAS {
        replicas.push(TestApp::builder().database(options.clone()).settings(drains_in_order).start().await);
    }
    let balancer = Balancer::default();
    *balancer.addresses.lock().unwrap() = replicas.iter().map(|replica| replica.address).collect();

    let stop = Arc::new(AtomicBool::new(false));
    let talking: Vec<_> =
        pairs.into_iter().map(|pair| tokio::spawn(pair.talk(balancer.clone(), stop.clone()))).collect();
    for at in 0..REPLICAS {
        let leaving = replicas.remove(0);
        leaving.stop.cancel();
        leaving.until_stopped().await;
        // The balancer still gives calls to where it was.
        let retried = balancer.retried.load(Ordering::Relaxed);
        eventually("calls meet the one that is gone, and are made again", async || {
            (balancer.retried.load(Ordering::Relaxed) > retried).then_some(())
        })
        .await;
        let coming = TestApp::builder().database(options.clone()).settings(drains_in_order).start().await;
        balancer.addresses.lock().unwrap()[at] = coming.address;
        replicas.push(coming);
        let here = replicas.last().unwrap().address;
        eventually("the new one takes its part", async || {
            balancer.answered.lock().unwrap().contains(&here).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);

    assert_eq!(balancer.answered.lock().unwrap().len(), 2 * REPLICAS, "every replica answered");
    for talk in talking {
        let (conversation_id, done) = talk.await.unwrap();
        assert!(done.texts.len() > 3 && done.texts.len() == done.sends.len(), "{}", done.texts.len());
        let stored = messages(&balancer, &admin, &conversation_id).await;
        let of = |direction| {
            stored
                .iter()
                .filter(move |it| it.direction() == direction)
                .map(|it| it.id.clone())
                .collect::<HashSet<_>>()
        };
        // Each once, and those that were answered for; the first text was before.
        assert_eq!(stored.len(), done.texts.len() + done.sends.len() + 1);
        assert!(done.texts.iter().all(|id| of(MessageDirection::Inbound).contains(id)));
        assert_eq!(of(MessageDirection::Outbound), done.sends.iter().cloned().collect());
        let queued = |message: &&Message| message.status() == DeliveryStatus::Queued;
        assert_eq!(stored.iter().filter(queued).count(), done.sends.len(), "each has its answer");
        assert!(stored.iter().all(|message| message.is_read), "each was marked read");
    }
}
