//! Concurrent callers: the human and the agent of each pair.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::faults::environment::Environment;
use crate::faults::participants::Pair;
use crate::faults::schedule::Schedule;
use crate::faults::{agent, human};
use crate::support::eventually;

/// Pause before a retry of a call whose outcome is unknown: the service is likely to be still unavailable.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Load {
    env: Arc<Environment>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(
        env: &Arc<Environment>,
        pairs: &[Arc<Pair>],
        schedule: &Schedule,
        round: u32,
    ) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (n, pair) in (0_u64..).zip(pairs) {
            let chance = |side| schedule.chance(round, 1_000 + 2 * n + side);
            tasks.spawn(act(env.clone(), pair.clone(), stop.clone(), chance(0), true));
            tasks.spawn(act(env.clone(), pair.clone(), stop.clone(), chance(1), false));
        }
        Self { env: env.clone(), stop, tasks }
    }

    /// Waits until this many more calls are acknowledged; there must be progress all the time. Fails as soon as one of the
    /// callers does.
    pub(crate) async fn until_done(&mut self, calls: u64) {
        let tally = &self.env.tally;
        let goal = tally.done() + calls;
        let done = async {
            let mut seen = tally.done();
            while seen < goal {
                seen = eventually("another call is acknowledged", async || {
                    Some(tally.done()).filter(|done| *done > seen)
                })
                .await;
            }
        };
        tokio::select! {
            () = done => {}
            ended = self.tasks.join_next() => ended.unwrap().expect("callers run until the load ends"),
        }
    }

    /// Stops the callers after their current call.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

async fn act(
    env: Arc<Environment>,
    pair: Arc<Pair>,
    stop: CancellationToken,
    mut chance: StdRng,
    is_human: bool,
) {
    while !stop.is_cancelled() {
        let known = if is_human {
            human::step(&env, &pair, &mut chance).await
        } else {
            agent::step(&env, &pair, &mut chance).await
        };
        if !known {
            sleep(PAUSE).await;
        }
    }
}
