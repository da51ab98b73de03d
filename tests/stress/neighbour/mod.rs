//! Noisy neighbours: while one organization, or a client without a key, does something harmful, another organization makes
//! ordinary calls and measures them.
//!
//! The neighbour sees no refusal, its median stays within 3 times and its 99th percentile within 5 times of the quiet
//! values, and each attack adds at most 64 MiB to the memory of the service. (The allocator keeps some of it for a while, so
//! that all attacks in succession may add twice as much.) Attackers, neighbour, service and
//! PostgreSQL share the machine, so that a part of every delay is the processor's: quiet values below a floor count as
//! the floor, and attackers pause between their calls.

mod attacks;
mod clients;
mod scene;

use std::time::{Duration, Instant};

use inkbox_imessage::proto::{GetConversationRequest, ListConversationsRequest, MarkConversationReadRequest};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use self::attacks::ATTACKS;
use self::scene::Scene;
use crate::length;

/// Pause of the neighbour between two calls.
const PAUSE: Duration = Duration::from_millis(5);
/// Quiet values below these count as these: a few times what the scheduler of a busy machine adds to a call.
const FLOOR: Latencies = Latencies { median: Duration::from_millis(5), p99: Duration::from_millis(30) };
/// Memory that an attack may add to the process, in KiB.
const MAX_ADDED_KIB: u64 = 64 << 10;
/// Length of one attack in the short form, and of each round in the long one.
const ROUND: Duration = Duration::from_millis(1_500);

#[derive(Debug, Clone, Copy)]
struct Latencies {
    median: Duration,
    p99: Duration,
}

impl Latencies {
    fn of(mut calls: Vec<Duration>) -> Self {
        calls.sort_unstable();
        Self { median: calls[calls.len() / 2], p99: calls[calls.len() * 99 / 100] }
    }
}

/// The calls of the neighbour in one phase.
struct Measured {
    latencies: Latencies,
    refused: Vec<Status>,
    peak_kib: u64,
}

/// One call of each kind, one after the other, until `stop`.
async fn neighbour(scene: &Scene, time: Duration) -> Measured {
    let (agent, id) = (&scene.neighbour.agent, &scene.neighbour.conversation_id);
    let (mut calls, mut refused, mut peak_kib) = (Vec::new(), Vec::new(), 0);
    let end = Instant::now() + time;
    while Instant::now() < end {
        let began = Instant::now();
        let get = GetConversationRequest { conversation_id: id.clone(), agent_identity_id: None };
        let mark = MarkConversationReadRequest { conversation_id: id.clone(), ..Default::default() };
        let answer = match calls.len() % 4 {
            0 => agent.list_conversations(ListConversationsRequest::default()).await.map(drop),
            1 => agent.get_conversation(get).await.map(drop),
            2 => agent.send_message(scene::text_to(id, "an answer")).await.map(drop),
            _ => agent.mark_conversation_read(mark).await.map(drop),
        };
        calls.push(began.elapsed());
        refused.extend(answer.err());
        peak_kib = peak_kib.max(scene.memory_kib());
        sleep(PAUSE).await;
    }
    Measured { latencies: Latencies::of(calls), refused, peak_kib }
}

/// Runs one attack beside the neighbour. Returns what is wrong, if anything.
async fn under_attack(
    scene: &Scene,
    attack: &attacks::Attack,
    quiet: &Measured,
    time: Duration,
) -> Option<String> {
    let stop = CancellationToken::new();
    let mut attackers = JoinSet::new();
    for number in 0..attack.callers {
        let (calling, stop) = ((attack.run)(scene.attacker(), number), stop.clone());
        attackers.spawn(async move {
            tokio::select! {
                done = calling => done,
                () = stop.cancelled() => {}
            }
        });
    }
    let (before, memory_before) = (scene.attacks_done(), scene.memory_kib());
    let measured = neighbour(scene, time).await;
    let done = scene.attacks_done() - before;
    stop.cancel();
    while attackers.join_next().await.is_some() {}
    let Latencies { median, p99 } = measured.latencies;
    let added = measured.peak_kib.saturating_sub(memory_before);
    let added_in_all = measured.peak_kib.saturating_sub(quiet.peak_kib);
    println!(
        "| {} | {done} | {median:.1?} | {p99:.1?} | {} | {} MiB |",
        attack.name,
        measured.refused.len(),
        added >> 10
    );
    let most = Latencies {
        median: 3 * quiet.latencies.median.max(FLOOR.median),
        p99: 5 * quiet.latencies.p99.max(FLOOR.p99),
    };
    let mut wrong = Vec::new();
    if done == 0 {
        wrong.push("nothing was attacked".to_owned());
    }
    if let Some(status) = measured.refused.first() {
        wrong.push(format!("{} refusals, such as {status:?}", measured.refused.len()));
    }
    if median > most.median || p99 > most.p99 {
        wrong.push(format!("median {median:?} and p99 {p99:?}, at most {most:?}"));
    }
    if added > MAX_ADDED_KIB || added_in_all > 2 * MAX_ADDED_KIB {
        wrong.push(format!("{added} KiB more memory, {added_in_all} KiB in all"));
    }
    (!wrong.is_empty()).then(|| format!("{}: {}", attack.name, wrong.join("; ")))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_organization_and_no_stranger_disturbs_another_organization() {
    let _machine = length::exclusive().await;
    let rounds = length::rounds().unwrap_or(1);
    let time = ROUND * rounds;
    let scene = Scene::start().await;
    let quiet = neighbour(&scene, time.max(2 * ROUND)).await;
    assert!(quiet.refused.is_empty(), "{:?}", quiet.refused);
    let Latencies { median, p99 } = quiet.latencies;
    println!("| attack | calls | median | p99 | refusals | memory |\n| --- | --- | --- | --- | --- | --- |");
    println!("| none | | {median:.1?} | {p99:.1?} | 0 | {} MiB in all |", quiet.peak_kib >> 10);
    let mut wrong = Vec::new();
    for attack in ATTACKS {
        wrong.extend(under_attack(&scene, attack, &quiet, time).await);
        scene.until_quiet().await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
