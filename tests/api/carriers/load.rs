//! Slow carriers: bounded in what they hold, and in no one's way.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::side_by_side::Three;
use super::{assert_upstream, bluebubbles, mark_read, sendblue};
use crate::support::carrier::Reply;
use crate::support::eventually;

/// What a slow carrier takes.
const SLOW: Duration = Duration::from_secs(1);
/// Calls at once to each of the two slow carriers.
const CALLS: usize = 250;
/// Calls that a carrier has at once, and as many again that wait: the default.
const PLACES: usize = 64;
/// What 500 calls may add to the memory of the process: their tasks and connections, and the stand-ins' side of them.
const MEMORY: u64 = 96 << 20;

/// A figure of this process, in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "figures for people: --nocapture")]
async fn five_hundred_calls_to_slow_carriers_delay_no_other_and_are_bounded() {
    let three = Three::start(Duration::from_secs(8), |_| {}).await;
    let (mac, ..) = &three.mac;
    let (sendblue, ..) = &three.sendblue;
    sendblue.answers("mark-read", [Reply::After(SLOW, 200, sendblue::READ.to_owned())]);
    mac.answers("/read", [Reply::After(SLOW, 200, bluebubbles::READ.to_owned())]);
    let (sandbox, id) = &three.sandbox;
    mark_read(sandbox, id).await.unwrap();
    let before = memory("VmRSS:");

    let began = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        for (_, agent, id) in [&three.sendblue, &three.mac] {
            let (agent, id) = (agent.clone(), id.clone());
            calls.spawn(async move { (mark_read(&agent, &id).await, began.elapsed()) });
        }
    }
    eventually("both carriers have all they are given at once", async || {
        (sendblue.asked().len() >= PLACES && mac.asked().len() >= PLACES).then_some(())
    })
    .await;
    let mut others = Vec::new();
    let mut peak = 0;
    while !calls.is_empty() && others.len() < 1_000 {
        let asked = Instant::now();
        mark_read(sandbox, id).await.unwrap();
        others.push(asked.elapsed());
        peak = peak.max(memory("VmRSS:"));
        if sendblue.asked().len() >= 2 * PLACES && mac.asked().len() >= 2 * PLACES {
            break;
        }
    }
    let (mut done, mut refused, mut last_refusal) = (0, 0, Duration::ZERO);
    while let Some(ended) = calls.join_next().await {
        match ended.unwrap() {
            (Ok(_), _) => done += 1,
            (failed, after) => {
                assert!(assert_upstream(failed).is_some(), "trying again can help");
                refused += 1;
                last_refusal = last_refusal.max(after);
            }
        }
    }
    let took = began.elapsed();
    others.sort_unstable();
    let (median, slowest) = (others[others.len() / 2], others[others.len() - 1]);
    let added = peak.saturating_sub(before);
    println!(
        "{done} done and {refused} refused in {took:?} (last refusal after {last_refusal:?}); {} calls to the sandbox \
         meanwhile: median {median:?}, slowest {slowest:?}; memory {} KiB, {} KiB more at most",
        others.len(),
        before >> 10,
        added >> 10,
    );
    assert_eq!(done + refused, 2 * CALLS);
    for carrier in [sendblue, mac] {
        assert!(carrier.asked().len() <= 4 * PLACES, "no more than it has places for, round by round");
    }
    assert!(done >= 2 * 2 * PLACES, "those that had a place, and those that waited for one");
    assert!(refused > 0, "the rest is told at once");
    assert!(median < SLOW / 4 && slowest < SLOW, "median {median:?}, slowest {slowest:?}");
    assert!(added < MEMORY, "{added} bytes");
}
