//! Slow carriers: they use bounded resources, and do not delay calls to other carriers.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic_types::StatusExt as _;

use super::side_by_side::ThreeCarriers;
use super::{bluebubbles, mark_read, sendblue};
use crate::support::carrier::Reply;
use crate::support::eventually;

/// Response time of a slow carrier.
const SLOW: Duration = Duration::from_secs(1);
/// Concurrent RPCs for each of the two slow carriers.
const CALLS: usize = 250;
/// The share of one organization in the default bound of concurrent calls to a carrier. The same number may wait.
const SHARE: usize = 16;
/// Maximum memory that 500 calls add to the process, in bytes: tasks and connections, including those of the stubs.
const MAX_ADDED_MEMORY: u64 = 96 << 20;

/// A memory figure of this process, in bytes.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "shows measurements with --nocapture")]
async fn five_hundred_calls_to_slow_carriers_delay_no_other_and_are_bounded() {
    let three = ThreeCarriers::start(Duration::from_secs(8), |_| {}).await;
    let (mac, ..) = &three.mac;
    let (sendblue, ..) = &three.sendblue;
    sendblue.respond("mark-read", [Reply::Delayed(SLOW, 200, sendblue::READ.to_owned())]);
    mac.respond("/read", [Reply::Delayed(SLOW, 200, bluebubbles::READ.to_owned())]);
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
    eventually("both organizations use their share of the concurrent calls", async || {
        (sendblue.received().len() >= SHARE && mac.received().len() >= SHARE).then_some(())
    })
    .await;
    let mut others = Vec::new();
    let mut peak = 0;
    while !calls.is_empty() && others.len() < 1_000 {
        let asked = Instant::now();
        mark_read(sandbox, id).await.unwrap();
        others.push(asked.elapsed());
        peak = peak.max(memory("VmRSS:"));
        if sendblue.received().len() >= 2 * SHARE && mac.received().len() >= 2 * SHARE {
            break;
        }
    }
    let (mut done, mut refused, mut last_refusal) = (0, 0, Duration::ZERO);
    while let Some(ended) = calls.join_next().await {
        match ended.unwrap() {
            (Ok(_), _) => done += 1,
            (Err(refusal), after) => {
                let details = refusal.get_error_details();
                let reason = &details.error_info().unwrap().reason;
                assert!(["OVERLOADED", "UPSTREAM_FAILED"].contains(&&**reason), "{refusal:?}");
                assert!(details.retry_info().is_some(), "a retry can succeed");
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
         in that time: median {median:?}, slowest {slowest:?}; memory {} KiB, {} KiB more at most",
        others.len(),
        before >> 10,
        added >> 10,
    );
    assert_eq!(done + refused, 2 * CALLS);
    for carrier in [sendblue, mac] {
        assert!(carrier.received().len() <= 4 * SHARE, "the concurrency is bounded");
    }
    assert!(done >= 2 * 2 * SHARE, "calls that ran at once, and calls that waited");
    assert!(refused > 0, "further calls fail immediately");
    assert!(median < SLOW / 4 && slowest < SLOW, "median {median:?}, slowest {slowest:?}");
    assert!(added < MAX_ADDED_MEMORY, "{added} bytes");
}
