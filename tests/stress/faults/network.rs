//! The wire between the service and PostgreSQL is slow, cut, or lets nothing through, at random moments of a mixed load.

use std::sync::Arc;
use std::time::Duration;

use inkbox_imessage::domain::CarrierKind;
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::sleep;

use crate::faults::environment::Environment;
use crate::faults::listeners::Listeners;
use crate::faults::load::Load;
use crate::faults::participants::Pair;
use crate::faults::phone::{Habit, Phone};
use crate::faults::schedule::Schedule;
use crate::faults::{carriers, check, settle};
use crate::length;
use crate::support::TestApp;
use crate::support::cluster::Cluster;
use crate::support::proxy::{NetworkState, Proxy};

/// Rounds of the short form.
const ROUNDS: u32 = 3;
/// Pairs of a round.
const PAIRS: usize = 6;
/// How many calls are acknowledged before the state turns, and after it has cleared up.
const CALLS: u64 = 40;
/// The longest that bad state lasts: longer than the service waits for the database.
const LASTS: Duration = Duration::from_secs(3);

/// What can be wrong.
#[derive(Debug, Clone, Copy)]
enum Bad {
    /// Everything takes its time.
    Slow,
    /// A wire breaks with some of what is sent.
    Breaks,
    /// All wires are cut at once.
    Cut,
    /// Nothing gets through, and then all of it does.
    Stalls,
    /// Nothing gets through, and then all wires are cut.
    StallsAndIsCut,
    /// All wires are cut, and new ones as well.
    Refused,
}

const ALL: [Bad; 6] = [Bad::Slow, Bad::Breaks, Bad::Cut, Bad::Stalls, Bad::StallsAndIsCut, Bad::Refused];

impl Bad {
    async fn happens(self, proxy: &Proxy, chance: &mut StdRng) {
        let calm = NetworkState::default();
        let state = match self {
            Self::Slow => NetworkState { delay: Duration::from_millis(chance.random_range(1..100)), ..calm },
            Self::Breaks => NetworkState { cut_chance: chance.random_range(0.001..0.1), ..calm },
            Self::Cut => calm,
            Self::Stalls | Self::StallsAndIsCut => NetworkState { stalled: true, ..calm },
            Self::Refused => NetworkState { refused: true, cut_chance: 1.0, ..calm },
        };
        proxy.set(state);
        if !matches!(self, Self::Cut) {
            sleep(chance.random_range(Duration::ZERO..LASTS)).await;
        }
        proxy.set(calm);
        if matches!(self, Self::Cut | Self::StallsAndIsCut | Self::Refused) {
            proxy.cut();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_done_twice_when_the_wire_to_the_database_fails() {
    let _shared = length::shared().await;
    let schedule = Schedule::of("network", ROUNDS);
    let cluster = Cluster::start(&[]).await;
    let proxy = Proxy::tcp(&cluster.options()).await;
    let habit = Habit { failing: 0.0, slowness: Duration::from_millis(10), too_late: Duration::ZERO };
    let phone = Phone::start(habit).await;
    let through = proxy.options(&cluster.options());
    let env = Arc::new(Environment::new(cluster.options(), CarrierKind::Sendblue, phone).await);
    let settings = carriers::at(&env.phone);
    let app = TestApp::builder().database(through).settings(|service| service.lines = settings).start().await;
    env.moves_to(app.address);
    let mut before: Vec<Arc<Pair>> = Vec::new();
    for round in 0..schedule.rounds {
        let mut chance = schedule.chance(round, 0);
        app.until_ready().await;
        let pairs = Pair::of_round(&env, round, &Pair::numbers(round, PAIRS)).await;
        let listeners = Listeners::start(&env, &pairs, &schedule, round);
        let mut load = Load::start(&env, &pairs, &schedule, round);
        load.until_done(CALLS).await;
        let bad = *schedule.pick(round, &ALL);
        bad.happens(&proxy, &mut chance).await;
        app.until_ready().await;
        load.until_done(CALLS).await;
        load.end().await;

        settle::after_round(&env, &pairs).await;
        listeners.check(&env, &pairs).await;
        let messages = check::all(&env, &pairs, &check::Line::Phones).await;
        env.assert_invariants().await;
        schedule.report(round, &format!("{bad:?}, {messages} messages"));
        before.extend(pairs);
    }
    settle::at_last(&env, &before, false).await;
    let messages = check::all(&env, &before, &check::Line::Phones).await;
    env.assert_invariants().await;
    println!("network: {messages} messages in all, {} at phones\n{}", env.phone.all(), env.tally);
}
