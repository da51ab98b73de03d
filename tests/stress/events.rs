//! Events while replicas restart: writers of all kinds, and consumers by stream and by page that are cut off at random.
//! Each consumer ends with exactly the committed events, in order. The fault tests do the same through kill -9.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::*;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;
use tonic::transport::Endpoint;

use crate::consumers::{Consumer, complete};
use crate::length;
use crate::support::callers::Caller;
use crate::support::{Human, PATIENCE, TestApp};

const REPLICAS: usize = 3;
const WRITERS: usize = 8;
/// Steps of each writer in the short form; a round of the long form has as many.
const STEPS: u32 = 40;

/// The replicas that serve at the moment.
#[derive(Clone, Default)]
struct Replicas(Arc<Mutex<Vec<SocketAddr>>>);

impl Replicas {
    /// A caller on any replica.
    fn caller(&self, secret: &str) -> Caller {
        let addresses = self.0.lock().unwrap();
        let address = addresses[rand::rng().random_range(0..addresses.len())];
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().timeout(PATIENCE);
        Caller::new(channel.connect_lazy(), Some(secret.to_owned()))
    }
}

struct Writer {
    replicas: Replicas,
    human: Human,
    handle: String,
    line: String,
    agent: String,
    router: String,
    conversation_id: String,
    chance: StdRng,
}

impl Writer {
    /// Does something. Whether it succeeds does not matter: the log must have what was committed.
    async fn step(&mut self, n: u32) {
        let (agent, router) = (self.replicas.caller(&self.agent), self.replicas.caller(&self.router));
        let human = Human { router: router.clone(), ..self.human.clone() };
        let id = self.conversation_id.clone();
        match self.chance.random_range(0..10) {
            0..4 => drop(router.receive_message(human.text(&self.line, &format!("text {n}"))).await),
            4..6 => {
                let request = SendMessageRequest {
                    target: Some(Target::ConversationId(id)),
                    text: Some(format!("answer {n}")),
                    ..Default::default()
                };
                if let Ok(sent) = agent.send_message(request).await {
                    let update = UpdateDeliveryStatusRequest {
                        line_number: self.line.clone(),
                        provider_message_id: sent.message.unwrap().id,
                        status: DeliveryStatus::Delivered.into(),
                        ..Default::default()
                    };
                    drop(router.update_delivery_status(update).await);
                }
            }
            6..8 => {
                let request = MarkConversationReadRequest { conversation_id: id, up_to_message_id: None };
                drop(agent.mark_conversation_read(request).await);
            }
            8 => {
                let text = human.text(&self.line, &format!("text to react to {n}"));
                drop(router.receive_message(text.clone()).await);
                for removed in [false, true] {
                    let request = ReceiveReactionRequest {
                        line_number: self.line.clone(),
                        remote_number: human.number.clone(),
                        target_provider_message_id: text.provider_message_id.clone(),
                        reaction: ReactionType::Love.into(),
                        removed,
                        ..Default::default()
                    };
                    drop(router.receive_reaction(request).await);
                }
            }
            _ => {
                for verb in ["disconnect", "connect"] {
                    let command =
                        human.text(crate::support::app::ROUTER_LINE, &format!("{verb} @{}", self.handle));
                    if let Ok(ReceiveMessageResponse { line_number: Some(line), .. }) =
                        router.receive_message(command).await
                    {
                        self.line = line;
                    }
                }
                drop(router.receive_message(human.text(&self.line, &format!("back {n}"))).await);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_is_skipped_while_replicas_restart_and_consumers_are_cut_off() {
    let _shared = length::shared().await;
    let (seed, rounds) = (length::seed(), length::rounds().unwrap_or(1));
    println!("events: INKBOX_STRESS_SEED={seed} INKBOX_STRESS_ROUNDS={rounds}");
    let drains = |settings: &mut inkbox_imessage::server::Settings| {
        settings.drain.grace = Duration::from_millis(50);
        settings.drain.finish = Duration::from_secs(5);
    };
    let first = TestApp::with(drains).await;
    let options = first.options.clone();
    let pool = first.pool.clone();
    let identities = [first.identity("org_a").await, first.identity("org_a").await];
    let (admin, router) = (first.admin("org_a").await.secret.unwrap(), first.router().await.secret.unwrap());
    let mut apps = vec![first];
    for _ in 1..REPLICAS {
        apps.push(TestApp::builder().database(options.clone()).settings(drains).start().await);
    }
    let replicas = Replicas::default();
    replicas.0.lock().unwrap().extend(apps.iter().map(|app| app.address));

    let (mut writers, mut consumers) = (Vec::new(), Vec::new());
    let mut agents = Vec::new();
    for identity in &identities {
        agents.push(apps[0].agent(identity).await.secret.unwrap());
    }
    for n in 0..WRITERS {
        let identity = &identities[n % 2];
        let human = Human::new(&apps[0], &format!("+1555777{n:04}")).await;
        let (thread, conversation_id) = human.converses(identity, "hello").await;
        writers.push(Writer {
            replicas: replicas.clone(),
            human,
            handle: identity.agent_handle.clone(),
            line: thread.line,
            agent: agents[n % 2].clone(),
            router: router.clone(),
            conversation_id,
            chance: StdRng::seed_from_u64(seed.wrapping_add(n as u64)),
        });
    }
    let keys = [(&admin, None), (&agents[0], Some(&identities[0].id)), (&agents[1], Some(&identities[1].id))];
    for (n, (secret, identity)) in keys.into_iter().enumerate() {
        for by_stream in [true, false] {
            let (replicas, secret) = (replicas.clone(), secret.clone());
            let chance = StdRng::seed_from_u64(seed.wrapping_mul(31).wrapping_add(n as u64));
            consumers.push((Consumer::start(move || replicas.caller(&secret), by_stream, chance), identity));
        }
    }
    let writing: Vec<_> = writers
        .into_iter()
        .map(|mut writer| {
            tokio::spawn(async move {
                for n in 0..rounds * STEPS {
                    writer.step(n).await;
                }
            })
        })
        .collect();
    while !writing.iter().all(tokio::task::JoinHandle::is_finished) {
        let next = TestApp::builder().database(options.clone()).settings(drains).start().await;
        replicas.0.lock().unwrap().push(next.address);
        apps.push(next);
        let old = apps.remove(0);
        replicas.0.lock().unwrap().retain(|address| *address != old.address);
        old.stop.cancel();
        old.until_stopped().await;
        sleep(Duration::from_millis(200)).await;
    }
    for writer in writing {
        writer.await.unwrap();
    }
    for (consumer, identity) in consumers {
        let events = complete(consumer, &pool, "org_a", identity.map(String::as_str)).await;
        println!("events: {} of {identity:?}", events.len());
        assert!(events.len() > WRITERS);
    }
    crate::support::invariants::hold(&apps[0]).await;
}
