//! Lines that fail in every way: a carrier whose answers come late, wrong or not at all, and the sandbox's numbers.

use std::sync::Arc;
use std::time::Duration;

use inkbox_imessage::carriers::{BreakerSettings, CarrierSettings, SendblueSettings};
use inkbox_imessage::domain::CarrierKind;
use rand::RngExt as _;

use crate::faults::environment::Environment;
use crate::faults::listeners::Listeners;
use crate::faults::load::Load;
use crate::faults::participants::{Pair, Sent, SentFate};
use crate::faults::phone::{FAILURES, Habit, Phone};
use crate::faults::schedule::Schedule;
use crate::faults::{check, settle};
use crate::length;
use crate::support::{TestApp, database, eventually};

/// Rounds of the short form.
const ROUNDS: u32 = 2;
/// Pairs of a round.
const PAIRS: usize = 6;
/// Calls that are acknowledged in a round.
const CALLS: u64 = 250;
/// So many messages to a number that fails every odd call have to be of both fates.
const ENOUGH: u32 = 20;
/// How long the service waits for a carrier here, and what is later than that.
const LINE_TIME_OUT: Duration = Duration::from_millis(150);
const TOO_LATE: Duration = Duration::from_millis(250);
/// Sandbox numbers: always fails, fails every odd call, takes two seconds, never answers, refuses.
const FAILS: &str = "+15005550001";
const FAILS_AT_TIMES: &str = "+15005550002";
const SLOW: &str = "+15005550003";
const NEVER_ANSWERS: &str = "+15005550004";
const REFUSES: &str = "+15005550005";

/// Lines at a stand-in for Sendblue. It is never left alone for long, so that calls go on.
pub(crate) fn at(phone: &Phone) -> CarrierSettings {
    let sendblue = SendblueSettings {
        url: phone.url.clone(),
        key_id: "key-id".to_owned().into(),
        secret_key: "secret-key".to_owned().into(),
        status_callback: None,
    };
    let breaker = BreakerSettings { min_calls: 5, pause: Duration::from_millis(100) };
    CarrierSettings { sendblue: Some(sendblue), breaker, ..CarrierSettings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_carrier_fails_at_in_any_way_is_told_as_it_is_and_never_done_twice() {
    let _shared = length::shared().await;
    let schedule = Schedule::of("carrier", ROUNDS);
    let calm = Habit { failing: 0.0, slowness: Duration::ZERO, too_late: TOO_LATE };
    let phone = Phone::start(calm).await;
    let options = database::fresh().await;
    let env = Arc::new(Environment::new(options.clone(), CarrierKind::Sendblue, phone).await);
    let settings = at(&env.phone);
    let app = TestApp::builder()
        .database(options)
        .settings(|service| {
            service.lines = settings;
            service.line_time_out = LINE_TIME_OUT;
        })
        .start()
        .await;
    env.moves_to(app.address);
    for round in 0..schedule.rounds {
        let mut chance = schedule.chance(round, 0);
        let pairs = Pair::of_round(&env, round, &Pair::numbers(round, PAIRS)).await;
        let habit =
            Habit { failing: chance.random_range(0.1..0.9), slowness: TOO_LATE / 10, too_late: TOO_LATE };
        env.phone.behaves(habit, schedule.chance(round, 1));
        let listeners = Listeners::start(&env, &pairs, &schedule, round);
        let mut load = Load::start(&env, &pairs, &schedule, round);
        load.until_done(CALLS).await;
        load.end().await;
        env.phone.behaves(calm, schedule.chance(round, 2));
        settle::at_last(&env, &pairs, false).await;
        listeners.check(&env, &pairs).await;
        let messages = check::all(&env, &pairs, &check::Line::Phones).await;
        env.assert_invariants().await;
        schedule
            .report(round, &format!("{:.0} % of calls failed, {messages} messages", habit.failing * 100.0));
    }
    let failed = env.phone.failed();
    for mood in FAILURES {
        assert!(failed.contains_key(&format!("{mood:?}")), "no call failed like {mood:?}: {failed:?}");
    }
    println!("carrier: {} messages at phones, failures {failed:?}\n{}", env.phone.all(), env.tally);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_the_sandbox_fail_as_they_should_and_nothing_else_does() {
    let _shared = length::shared().await;
    let schedule = Schedule::of("sandbox", ROUNDS);
    let unused = Habit { failing: 0.0, slowness: Duration::ZERO, too_late: Duration::ZERO };
    let options = database::fresh().await;
    let env =
        Arc::new(Environment::new(options.clone(), CarrierKind::Sandbox, Phone::start(unused).await).await);
    let app = TestApp::builder()
        .database(options)
        .settings(|service| service.line_time_out = LINE_TIME_OUT)
        .start()
        .await;
    env.moves_to(app.address);
    let humans = [FAILS, FAILS_AT_TIMES, SLOW, NEVER_ANSWERS, REFUSES, "+15551230001"].map(str::to_owned);
    let mut fates = [[0_u32; 2]; 6];
    for round in 0..schedule.rounds {
        let pairs = Pair::of_round(&env, round, &humans).await;
        let listeners = Listeners::start(&env, &pairs, &schedule, round);
        let mut load = Load::start(&env, &pairs, &schedule, round);
        load.until_done(CALLS).await;
        eventually("there was a message for everyone", async || {
            let is_known = |sent: &Sent| matches!(sent.fate, SentFate::Is(_) | SentFate::Failed);
            pairs.iter().all(|pair| pair.state().sent.iter().any(is_known)).then_some(())
        })
        .await;
        load.end().await;
        // The same humans come again, and there are three lines.
        settle::at_last(&env, &pairs, true).await;
        listeners.check(&env, &pairs).await;
        let line = check::Line::sandbox(&env, &pairs).await;
        let messages = check::all(&env, &pairs, &line).await;
        env.assert_invariants().await;
        schedule.report(round, &format!("{messages} messages"));
        for (pair, fates) in pairs.iter().zip(&mut fates) {
            for sent in &pair.state().sent {
                match &sent.fate {
                    SentFate::Is(_) => fates[0] += 1,
                    SentFate::Failed => fates[1] += 1,
                    _ => {}
                }
            }
        }
    }
    for (number, [taken, failed]) in humans.iter().zip(fates) {
        let as_it_should = match &**number {
            FAILS | REFUSES => taken == 0 && failed > 0,
            FAILS_AT_TIMES => (taken > 0 && failed > 0) || taken + failed < ENOUGH,
            _ => taken > 0 && failed == 0,
        };
        assert!(as_it_should, "{number}: {taken} taken, {failed} failed");
    }
    println!("sandbox: taken and failed by number {fates:?}\n{}", env.tally);
}
