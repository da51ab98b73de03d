//! kill -9 of the service and of PostgreSQL, with fsync on, at random moments of a mixed load: the real binary.

use std::sync::Arc;
use std::time::Duration;

use inkbox_imessage::domain::CarrierKind;
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::faults::environment::Environment;
use crate::faults::listeners::Listeners;
use crate::faults::load::Load;
use crate::faults::participants::Pair;
use crate::faults::phone::{Habit, Phone};
use crate::faults::schedule::Schedule;
use crate::faults::{check, human, settle};
use crate::length;
use crate::support::cluster::Cluster;
use crate::support::program::{Service, command};

/// Rounds of the short form.
const ROUNDS: u32 = 3;
/// Pairs of a round.
const PAIRS: usize = 6;
/// How many calls are acknowledged before a kill at least, and after everything is back.
const CALLS: u64 = 40;
/// The latest moment of a kill after that, and the longest that the killed is away.
const MOMENT: Duration = Duration::from_millis(600);
const AWAY: Duration = Duration::from_millis(400);
/// Old texts that are delivered again in each round.
const OLD: usize = 5;

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Victim {
    Service,
    Postgres,
    /// One process of PostgreSQL, such as the one of a session: it then ends all of them, and recovers.
    Backend,
    Both,
}

const VICTIMS: [Victim; 4] = [Victim::Service, Victim::Postgres, Victim::Backend, Victim::Both];

struct Machine {
    cluster: Cluster,
    service: Option<Service>,
    env: Arc<Environment>,
    folder: TempDir,
}

impl Machine {
    async fn start() -> Self {
        // Later settings win.
        let cluster = Cluster::start(&["fsync=on", "full_page_writes=on", "synchronous_commit=on"]).await;
        // Calls take a moment, so that some are under way at any time.
        let habit = Habit { failing: 0.0, slowness: Duration::from_millis(30), too_late: Duration::ZERO };
        let phone = Phone::start(habit).await;
        let env = Arc::new(Environment::new(cluster.options(), CarrierKind::Sendblue, phone).await);
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let mut machine = Self { cluster, service: None, env, folder };
        machine.start_service().await;
        machine
    }

    /// Starts the service; it may have to wait for its database.
    async fn start_service(&mut self) {
        let mut serve = command(&self.folder, &["serve"]);
        serve
            .env("DATABASE_URL", self.cluster.url())
            .env("INKBOX_LOG", "info,rpc=warn")
            .env("INKBOX_CARRIER_TIMEOUT", "1s")
            .env("INKBOX_SENDS_PER_DAY", "0")
            .env("INKBOX_ACTIONS_PER_MINUTE", "0")
            .env("INKBOX_SENDBLUE_URL", self.env.phone.url.as_str())
            .env("INKBOX_SENDBLUE_API_KEY_ID", "key-id")
            .env("INKBOX_SENDBLUE_API_SECRET_KEY", "secret-key");
        let service = Service::launch(serve).await;
        self.env.moves_to(service.address);
        self.service = Some(service);
    }

    async fn kill_service(&mut self) {
        let service = self.service.take().unwrap();
        service.signal("-KILL");
        let (status, output) = service.ended().await;
        assert_eq!(status.code(), None, "killed: {output}");
        assert!(!output.contains("panicked"), "{output}");
    }

    async fn strike(&mut self, victim: Victim, chance: &mut StdRng) {
        let away = chance.random_range(Duration::ZERO..AWAY);
        match victim {
            Victim::Service => {
                self.kill_service().await;
                sleep(away).await;
                self.start_service().await;
            }
            Victim::Postgres => {
                self.cluster.kill();
                sleep(away).await;
                self.cluster.start_again().await;
            }
            Victim::Backend => self.cluster.kill_a_backend(chance.random_range(0..64)),
            Victim::Both => {
                self.cluster.kill();
                self.kill_service().await;
                sleep(away).await;
                if chance.random_bool(0.5) {
                    // Without its database, which it waits for.
                    self.start_service().await;
                    self.cluster.start_again().await;
                } else {
                    self.cluster.start_again().await;
                    self.start_service().await;
                }
            }
        }
    }

    async fn until_ready(&self) {
        self.service.as_ref().unwrap().until_health_is(Some("SERVING")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_done_twice_when_processes_are_killed() {
    let _shared = length::shared().await;
    let schedule = Schedule::of("kills", ROUNDS);
    let mut machine = Machine::start().await;
    let env = machine.env.clone();
    let mut before: Vec<Arc<Pair>> = Vec::new();
    for round in 0..schedule.rounds {
        let mut chance = schedule.chance(round, 0);
        machine.until_ready().await;
        let pairs = Pair::of_round(&env, round, &Pair::numbers(round, PAIRS)).await;
        let listeners = Listeners::start(&env, &pairs, &schedule, round);
        let mut load = Load::start(&env, &pairs, &schedule, round);
        load.until_done(CALLS).await;
        sleep(chance.random_range(Duration::ZERO..MOMENT)).await;
        let victim = *schedule.pick(round, &VICTIMS);
        machine.strike(victim, &mut chance).await;
        machine.until_ready().await;
        load.until_done(CALLS).await;
        load.end().await;

        settle::after_round(&env, &pairs).await;
        listeners.check(&env, &pairs).await;
        let messages = check::all(&env, &pairs, &check::Line::Phones).await;
        deliver_old_texts_again(&env, &before, &mut chance).await;
        env.assert_invariants().await;
        schedule.report(round, &format!("{victim:?} killed, {messages} messages"));
        before.extend(pairs);
    }
    // Sends whose process died are settled by now, or within the time that a send can take.
    settle::at_last(&env, &before, false).await;
    let messages = check::all(&env, &before, &check::Line::Phones).await;
    env.assert_invariants().await;
    println!("kills: {messages} messages in all, {} at phones\n{}", env.phone.all(), env.tally);
}

/// Whatever happened since, a text that was taken is known again.
async fn deliver_old_texts_again(env: &Environment, pairs: &[Arc<Pair>], chance: &mut StdRng) {
    for _ in 0..OLD {
        let Some(pair) = pairs.choose(chance) else { return };
        assert!(human::deliver_again(env, pair, chance).await, "no answer");
    }
}
