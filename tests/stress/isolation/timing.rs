//! A call that names a resource of another tenant takes as long as one that names nothing.

use std::time::Instant;

use crate::isolation::answer::ask;
use crate::isolation::contract::{Meaning, Rpc, rpcs};
use crate::isolation::median::Difference;
use crate::isolation::requests::{self, Request};
use crate::isolation::world::{Asker, World};
use crate::length;

/// Calls of each kind in the short form, and from which number on the strict bound applies.
const SHORT: usize = 60;
const LONG: usize = 1_000;
/// The least difference that counts, as a share of what a call takes.
const LEAST_SHORT: f64 = 0.25;
const LEAST_LONG: f64 = 0.02;
/// A difference has to show in each of so many measurements, in the same direction: one is chance once in a while.
const ROUNDS: usize = 3;

/// Calls of each kind: 10 per round.
fn calls() -> usize {
    length::rounds().map_or(SHORT, |rounds| rounds as usize * 10)
}

/// Calls about another's and about nothing in turn, the order within each pair by the turn's number.
async fn measure(asker: &Asker, rpc: &Rpc, [anothers, nothing]: &[Request; 2], calls: usize) -> Difference {
    let timed = async |request: &Request| {
        let begun = Instant::now();
        let answer = ask(&asker.caller, rpc, request).await;
        assert!(!answer.is_ok());
        begun.elapsed()
    };
    let mut pairs = Vec::with_capacity(calls);
    for turn in 0..calls {
        pairs.push(if turn % 2 == 0 {
            let first = timed(anothers).await;
            (first, timed(nothing).await)
        } else {
            let first = timed(nothing).await;
            (timed(anothers).await, first)
        });
    }
    Difference::of(&pairs, calls as u64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_about_anothers_takes_as_long_as_one_about_nothing() {
    let _exclusive = length::exclusive().await;
    let world = World::start().await;
    let calls = calls();
    let least = if calls >= LONG { LEAST_LONG } else { LEAST_SHORT };
    let (mut measured, mut told) = (0, Vec::new());
    let [admin, agent, ..] = world.askers();
    for asker in [admin, agent] {
        for rpc in rpcs() {
            for request in requests::of(&rpc, &world.own) {
                for (field, meaning) in requests::open_fields(&rpc, &request) {
                    // One of another organization's, and for an identity key one of another identity's.
                    let all = world.out_of_sight(&asker, &rpc, meaning);
                    let mut whose: Vec<&str> = Vec::new();
                    for (owner, thing) in all {
                        if whose.contains(&owner) || matches!(meaning, Meaning::PageToken) && calls < LONG {
                            continue;
                        }
                        whose.push(owner);
                        let absent = World::absent(meaning);
                        let pair = [thing.id.as_str(), &absent]
                            .map(|id| requests::with(&request, &[(field.as_str(), id)]));
                        let what = format!("{} key, {}, {field}: {owner}", asker.kind, rpc.name);
                        told.extend(is_told_apart(&asker, &rpc, &pair, calls, least, &what).await);
                        measured += 1;
                    }
                }
            }
        }
    }
    println!("isolation: {measured} fields measured with {calls} calls of each kind, least {least}");
    assert!(told.is_empty(), "{told:#?}");
    assert!(measured > 40, "only {measured}");
}

/// What was measured, where it differs in every round.
async fn is_told_apart(
    asker: &Asker,
    rpc: &Rpc,
    pair: &[Request; 2],
    calls: usize,
    least: f64,
    what: &str,
) -> Option<String> {
    let mut seen: Vec<Difference> = Vec::new();
    for _ in 0..ROUNDS {
        let difference = measure(asker, rpc, pair, calls).await;
        let Difference { medians, noise, typical } = difference;
        println!("isolation: {what}: {medians:+.1} us of {typical:.1}, by chance up to {noise:.1}");
        let same_way = seen.first().is_none_or(|first| first.medians.signum() == medians.signum());
        if !difference.is_real(least) || !same_way {
            return None;
        }
        seen.push(difference);
    }
    Some(format!("{what}: {seen:?}"))
}

/// What shows that the measurement would see it: the own conversation, which is found and told of, takes longer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_difference_would_be_seen() {
    let _exclusive = length::exclusive().await;
    let world = World::start().await;
    let [admin, ..] = world.askers();
    let rpc = rpcs().into_iter().find(|rpc| rpc.name == "MessageService/ListMessages").unwrap();
    let calls = calls().max(200);
    let own = serde_json::json!({ "conversation_id": world.own.live(crate::isolation::contract::Kind::Conversation) });
    let absent = requests::with(&own, &[("conversation_id", &World::absent(Meaning::Plain))]);
    // Others on the machine may hide it for a while.
    for _ in 0..ROUNDS * 4 {
        let mut pairs = Vec::new();
        for _ in 0..calls {
            let begun = Instant::now();
            assert!(ask(&admin.caller, &rpc, &own).await.is_ok());
            let found = begun.elapsed();
            let begun = Instant::now();
            assert!(!ask(&admin.caller, &rpc, &absent).await.is_ok());
            pairs.push((found, begun.elapsed()));
        }
        let difference = Difference::of(&pairs, 1);
        println!("isolation: one's own list against none: {difference:?}");
        if difference.is_real(LEAST_LONG) && difference.medians > 0.0 {
            return;
        }
    }
    panic!("what is found takes no longer than what is not: this measures nothing");
}
