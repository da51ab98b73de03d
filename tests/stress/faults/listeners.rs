//! Consumers of the events of a round: each ends with exactly what was committed, and what was acknowledged is among it.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use inkbox_imessage::proto::{Event, EventType};

use crate::consumers::{Consumer, complete};
use crate::faults::environment::Environment;
use crate::faults::participants::{Fate, Pair, SentFate};
use crate::faults::schedule::Schedule;

/// Consumers with the admin key of a round, and one for each of its agents.
pub(crate) struct Listeners {
    organization: String,
    of_admin: Vec<Consumer>,
    of_agents: BTreeMap<String, Consumer>,
}

impl Listeners {
    pub(crate) fn start(
        env: &Arc<Environment>,
        pairs: &[Arc<Pair>],
        schedule: &Schedule,
        round: u32,
    ) -> Self {
        let start = |secret: &str, by_stream, n| {
            let (env, secret) = (env.clone(), secret.to_owned());
            let chance = schedule.chance(round, 2_000 + n);
            Consumer::start(move || env.caller(&secret), by_stream, chance)
        };
        let first = &pairs[0];
        let of_admin = vec![start(&first.admin, true, 0), start(&first.admin, false, 1)];
        let mut of_agents = BTreeMap::new();
        for (n, pair) in (2_u64..).zip(pairs) {
            of_agents.entry(pair.identity.id.clone()).or_insert_with(|| start(&pair.agent, n % 2 == 0, n));
        }
        Self { organization: first.identity.organization_id.clone(), of_admin, of_agents }
    }

    /// Reads to the end and checks. Returns how many events there are.
    pub(crate) async fn check(self, env: &Environment, pairs: &[Arc<Pair>]) -> usize {
        let (organization, pool) = (&self.organization, env.pool());
        let mut all = Vec::new();
        for consumer in self.of_admin {
            all = complete(consumer, pool, organization, None).await;
        }
        for (identity, consumer) in self.of_agents {
            complete(consumer, pool, organization, Some(&identity)).await;
        }
        for pair in pairs {
            acknowledged(pair, &all);
        }
        all.len()
    }
}

/// What the callers were told is among the events.
fn acknowledged(pair: &Pair, events: &[Event]) {
    let of = |kind: EventType| -> HashSet<&str> {
        let events = events.iter().filter(|event| event.r#type() == kind);
        events.filter_map(|event| Some(event.message.as_ref()?.id.as_str())).collect()
    };
    let (received, sent) = (of(EventType::MessageReceived), of(EventType::MessageSent));
    let state = pair.state();
    for text in &state.texts {
        if let Fate::Stored { id, .. } = &text.fate {
            assert!(received.contains(id.as_str()), "{}: no event of {text:?}", pair.name);
        }
    }
    for message in state.sent.iter().filter(|message| message.queued) {
        if let SentFate::Is(id) = &message.fate {
            assert!(sent.contains(id.as_str()), "{}: no event of {message:?}", pair.name);
        }
    }
}
