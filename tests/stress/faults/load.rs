//! Everyone at once.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::faults::environment::Site;
use crate::faults::participants::Pair;
use crate::faults::schedule::Course;
use crate::faults::{agent, human};
use crate::support::eventually;

/// Until something is tried again whose outcome was not known: nobody can do much meanwhile.
const PAUSE: Duration = Duration::from_millis(20);

/// A human and an agent's software for each pair.
pub(crate) struct Load {
    site: Arc<Site>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(site: &Arc<Site>, pairs: &[Arc<Pair>], course: &Course, round: u32) -> Self {
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        for (n, pair) in (0_u64..).zip(pairs) {
            let chance = |side| course.chance(round, 1_000 + 2 * n + side);
            tasks.spawn(act(site.clone(), pair.clone(), stop.clone(), chance(0), true));
            tasks.spawn(act(site.clone(), pair.clone(), stop.clone(), chance(1), false));
        }
        Self { site: site.clone(), stop, tasks }
    }

    /// Waits until so many more calls were acknowledged, as long as one comes after the other. Fails as soon as someone was
    /// told what cannot be.
    pub(crate) async fn until_done(&mut self, calls: u64) {
        let tally = &self.site.tally;
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
            ended = self.tasks.join_next() => ended.unwrap().expect("nobody ends before the load"),
        }
    }

    /// Stops it; everyone ends what they are at.
    pub(crate) async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }
}

async fn act(site: Arc<Site>, pair: Arc<Pair>, stop: CancellationToken, mut chance: StdRng, is_human: bool) {
    while !stop.is_cancelled() {
        let known = if is_human {
            human::step(&site, &pair, &mut chance).await
        } else {
            agent::step(&site, &pair, &mut chance).await
        };
        if !known {
            sleep(PAUSE).await;
        }
    }
}
