//! What a human does, and the carrier for them: texts, some of them twice, commands, tapbacks.

use inkbox_imessage::proto::{ReactionType, ReceiveMessageRequest, ReceiveOutcome, ReceiveReactionRequest};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::faults::environment::Environment;
use crate::faults::ledger::Outcome;
use crate::faults::participants::{Fate, Pair, Possible, Text};

/// Does one thing; false where its outcome is not known.
pub(crate) async fn step(env: &Environment, pair: &Pair, chance: &mut StdRng) -> bool {
    let (command, is_connected, line) = {
        let state = pair.state();
        (state.command.clone(), state.current().is_some(), state.line.clone())
    };
    if let Some(command) = command {
        return obey(env, pair, command).await;
    }
    let (true, Some(line)) = (is_connected, line) else {
        return obey(env, pair, pair.command("connect")).await;
    };
    match chance.random_range(0..100) {
        0..2 => obey(env, pair, pair.command("disconnect")).await,
        2..5 => obey(env, pair, pair.command("connect")).await,
        5..16 => deliver_again(env, pair, chance).await,
        16..32 => {
            let unknown = places(pair, |text| text.fate == Fate::Unknown);
            deliver_one_of(env, pair, &unknown, chance).await
        }
        32..42 => react(env, pair, chance).await,
        _ => say(env, pair, &line).await,
    }
}

/// Sends a command, again where its outcome is not known.
pub(crate) async fn obey(env: &Environment, pair: &Pair, command: ReceiveMessageRequest) -> bool {
    let connects = command.text().starts_with("connect");
    let (rule, ends) = {
        let mut state = pair.state();
        let ends = state.current().filter(|_| !connects).map(|connection| connection.id.clone());
        if let Some(id) = &ends {
            state.ends(id);
        }
        (state.rule.clone(), ends)
    };
    let answer = env.router().receive_message(command.clone()).await;
    let call = if connects { "connect" } else { "disconnect" };
    let mut state = pair.state();
    let Outcome::Done(answer) = env.tally.record(call, answer) else {
        state.command = Some(command);
        return false;
    };
    state.command = None;
    match (answer.outcome(), answer.connection_id.as_deref()) {
        (ReceiveOutcome::Connected, Some(id)) if connects => {
            state.connected(id);
            state.line = answer.line_number;
        }
        // On which line, a redelivery does not tell: the next command does.
        (ReceiveOutcome::Duplicate, Some(id)) if connects => {
            state.connected(id);
            state.line = None;
        }
        (ReceiveOutcome::Disconnected | ReceiveOutcome::Duplicate, Some(id)) => state.ended(id),
        // The first delivery was refused.
        (ReceiveOutcome::Duplicate, None) => {}
        (ReceiveOutcome::Refused, None) if connects => {
            assert!(state.rule.may_have_blocked_since(&rule), "{command:?}: {answer:?}, {state:?}");
        }
        (ReceiveOutcome::Refused, None) => {
            if let Some(id) = ends {
                assert!(state.attempts(&id) > 1, "{command:?}: {answer:?}, {state:?}");
                state.ended(&id);
            }
        }
        _ => panic!("{command:?}: {answer:?}, {state:?}"),
    }
    true
}

fn places(pair: &Pair, which: impl Fn(&Text) -> bool) -> Vec<usize> {
    let state = pair.state();
    state.texts.iter().enumerate().filter(|(_, text)| which(text)).map(|(place, _)| place).collect()
}

/// Delivers a text again that was told to be stored, if there is one.
pub(crate) async fn deliver_again(env: &Environment, pair: &Pair, chance: &mut StdRng) -> bool {
    let stored = places(pair, |text| matches!(text.fate, Fate::Stored { .. }));
    deliver_one_of(env, pair, &stored, chance).await
}

async fn deliver_one_of(env: &Environment, pair: &Pair, places: &[usize], chance: &mut StdRng) -> bool {
    match places.choose(chance) {
        Some(place) => deliver(env, pair, *place).await,
        None => true,
    }
}

async fn say(env: &Environment, pair: &Pair, line: &str) -> bool {
    let place = {
        let mut state = pair.state();
        let id = state.number();
        let request = pair.text(line, format!("{} says {id}", pair.name), id);
        state.texts.push(Text { request, fate: Fate::Unknown, doubtful: false });
        state.texts.len() - 1
    };
    deliver(env, pair, place).await
}

/// Delivers a text, again where it was delivered before; false where its outcome is not known.
pub(crate) async fn deliver(env: &Environment, pair: &Pair, place: usize) -> bool {
    let (before, rule) = {
        let state = pair.state();
        (state.texts[place].clone(), state.rule.clone())
    };
    let answer = env.router().receive_message(before.request.clone()).await;
    let call = if before.fate == Fate::Unknown { "text" } else { "redelivery" };
    let mut state = pair.state();
    let Outcome::Done(answer) = env.tally.record(call, answer) else {
        state.texts[place].doubtful = true;
        return false;
    };
    let why = format!("{before:?}: {answer:?}, {:?}", state.rule);
    if let Some(id) = &answer.conversation_id {
        assert_eq!(state.conversation_id.get_or_insert_with(|| id.clone()), id, "one conversation: {why}");
    }
    let stored = |blocked| Fate::Stored { id: answer.message_id.clone().expect("an id"), blocked };
    let fate = match (answer.outcome(), &before.fate) {
        (ReceiveOutcome::Stored, Fate::Unknown) => {
            assert!(!state.rule.has_blocked_since(&rule), "{why}");
            stored(Some(false))
        }
        (ReceiveOutcome::StoredBlocked, Fate::Unknown) => {
            assert!(state.rule.may_have_blocked_since(&rule), "{why}");
            stored(Some(true))
        }
        (ReceiveOutcome::Duplicate, Fate::Unknown) => {
            assert!(before.doubtful, "{why}");
            stored(None)
        }
        (ReceiveOutcome::Duplicate, Fate::Stored { id, .. }) => {
            assert_eq!(answer.message_id.as_ref(), Some(id), "{why}");
            return true;
        }
        (ReceiveOutcome::NotConnected, Fate::Unknown) => {
            let is_current = state.line.as_ref() == Some(&before.request.line_number);
            assert!(!is_current || state.may_be_unconnected(), "{why}");
            Fate::NotStored
        }
        _ => panic!("{why}"),
    };
    state.texts[place].fate = fate;
    true
}

/// Puts a tapback on a text of the human's own, or takes it back.
async fn react(env: &Environment, pair: &Pair, chance: &mut StdRng) -> bool {
    let kinds = [Some(ReactionType::Love), Some(ReactionType::Laugh), Some(ReactionType::Question), None];
    let kind = *kinds.choose(chance).unwrap();
    let (request, id, before) = {
        let mut state = pair.state();
        let stored = state.texts.iter().filter_map(|text| match &text.fate {
            Fate::Stored { id, .. } => Some((text.request.clone(), id.clone())),
            _ => None,
        });
        let stored: Vec<_> = stored.collect();
        let Some((text, id)) = stored.choose(chance).cloned() else { return true };
        let live = state.theirs.entry(id.clone()).or_insert(Possible::only(None));
        // What was asked for without an answer may still come true: nothing else is asked for then.
        let Some(current) = live.known().copied() else { return true };
        let before = live.clone();
        live.may_be(kind);
        let request = ReceiveReactionRequest {
            line_number: text.line_number,
            remote_number: text.remote_number,
            target_provider_message_id: text.provider_message_id,
            // A removal names the reaction that it ends.
            reaction: kind.or(current).unwrap_or(ReactionType::Love).into(),
            removed: kind.is_none(),
            ..Default::default()
        };
        (request, id, before)
    };
    let answer = env.router().receive_reaction(request.clone()).await;
    let Outcome::Done(answer) = env.tally.record("human's tapback", answer) else { return false };
    let after = match answer.outcome() {
        ReceiveOutcome::Stored | ReceiveOutcome::Duplicate => Possible::only(kind),
        ReceiveOutcome::NotConnected | ReceiveOutcome::Refused => before,
        _ => panic!("{request:?}: {answer:?}"),
    };
    pair.state().theirs.insert(id, after);
    true
}
