//! After the fault: everything that was not acknowledged is asked for again, until it is known what became of it.

use std::sync::Arc;

use futures_util::stream::{StreamExt as _, iter};
use inkbox_imessage::proto::{ListConnectionsRequest, ListContactRulesRequest};
use tonic::Status;

use crate::faults::environment::Environment;
use crate::faults::participants::{Ended, Fate, Pair, Possible, SentFate};
use crate::faults::{agent, human};
use crate::support::eventually;

/// Pairs that are settled or looked at at once, of the hundreds that there are at the end: with all of them, the service
/// would refuse most calls for having too much to do, and this is not about that.
pub(crate) const AT_ONCE: usize = 16;

/// Calls until it is done.
pub(crate) async fn until_done<T>(what: &str, call: impl AsyncFn() -> Result<T, Status>) -> T {
    eventually(what, async || call().await.ok()).await
}

/// After a round: every text has its answer, and it is known which rules there are. Sends, and what waits for sends, may
/// take longer where a process died in the middle of one: these are left for [`at_last`].
pub(crate) async fn after_round(env: &Environment, pairs: &[Arc<Pair>]) {
    env.until_quiet().await;
    let each = iter(pairs).for_each_concurrent(AT_ONCE, async |pair| {
        texts(env, pair).await;
        once_more(env, pair).await;
        rules(env, pair).await;
        connections(env, pair).await;
    });
    each.await;
}

/// At the end: nothing is left open. Connections that someone wanted to end are ended; all of them, where nobody is to
/// stay connected.
pub(crate) async fn at_last(env: &Environment, pairs: &[Arc<Pair>], parts_all: bool) {
    env.until_quiet().await;
    let each = iter(pairs).for_each_concurrent(AT_ONCE, async |pair| {
        texts(env, pair).await;
        let sent = pair.state().sent.len();
        for place in 0..sent {
            eventually("it is known what became of a send", async || {
                let is_known = pair.state().sent[place].fate != SentFate::Unknown;
                (is_known || agent::send(env, pair, place).await).then_some(())
            })
            .await;
        }
        eventually("a command is obeyed", async || {
            let command = pair.state().command.clone();
            let Some(command) = command else { return Some(()) };
            human::obey(env, pair, command).await.then_some(())
        })
        .await;
        let wanted =
            pair.state().current().is_some_and(|current| parts_all || current.ended == Ended::Perhaps);
        if wanted {
            eventually("a connection is released", async || agent::release(env, pair).await.then_some(()))
                .await;
        }
        rules(env, pair).await;
    });
    each.await;
}

async fn texts(env: &Environment, pair: &Pair) {
    let texts = pair.state().texts.len();
    for place in 0..texts {
        eventually("it is known what became of a text", async || {
            let is_known = pair.state().texts[place].fate != Fate::Unknown;
            (is_known || human::deliver(env, pair, place).await).then_some(())
        })
        .await;
    }
}

/// What may take long, once.
async fn once_more(env: &Environment, pair: &Pair) {
    let command = pair.state().command.clone();
    if let Some(command) = command {
        human::obey(env, pair, command).await;
    }
    let sent = pair.state().sent.len();
    for place in 0..sent {
        let is_open = pair.state().sent[place].fate == SentFate::Unknown;
        if is_open {
            agent::send(env, pair, place).await;
        }
    }
}

/// Nobody changes rules any more, so what is there stays.
async fn rules(env: &Environment, pair: &Pair) {
    let request = ListContactRulesRequest {
        agent_identity_id: Some(pair.identity.id.clone()),
        limit: Some(200),
        ..Default::default()
    };
    let list = until_done("rules are listed", async || {
        env.caller(&pair.admin).list_contact_rules(request.clone()).await
    });
    let list = list.await;
    let found = list.contact_rules.into_iter().find(|rule| rule.match_target == pair.number);
    let mut state = pair.state();
    let status = found.as_ref().map(inkbox_imessage::proto::ContactRule::status);
    assert!(state.rule.status.allows(&status), "{}: {found:?}, {:?}", pair.name, state.rule);
    state.rule.status = Possible::only(status);
    state.rule.id = found.map(|rule| rule.id);
}

/// A connection that is gone stays so; one that someone wanted to end may still end.
async fn connections(env: &Environment, pair: &Pair) {
    let active = active(env, pair).await;
    let mut state = pair.state();
    let gone: Vec<_> = state
        .connections
        .iter()
        .map(|connection| connection.id.clone())
        .filter(|id| !active.contains(id))
        .collect();
    for connection in &mut state.connections {
        if connection.ended == Ended::Perhaps && gone.contains(&connection.id) {
            connection.ended = Ended::Yes;
        }
    }
}

/// The active connections of a pair.
pub(crate) async fn active(env: &Environment, pair: &Pair) -> Vec<String> {
    let request = ListConnectionsRequest {
        agent_identity_id: Some(pair.identity.id.clone()),
        limit: Some(200),
        ..Default::default()
    };
    let list = until_done("connections are listed", async || {
        env.caller(&pair.admin).list_connections(request.clone()).await
    });
    let connections = list.await.connections.into_iter();
    connections
        .filter(|connection| connection.remote_number == pair.number)
        .map(|connection| connection.id)
        .collect()
}
