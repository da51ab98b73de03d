//! What an agent's software and an admin do: messages with idempotency keys, marks, tapbacks, releases, rules.

use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{
    ContactRuleAction, ContactRuleStatus, CreateContactRuleRequest, DeleteContactRuleRequest, DeliveryStatus,
    MarkConversationReadRequest, ReactionType, ReleaseConnectionRequest, SendMessageRequest,
    SendReactionRequest, SendTypingIndicatorRequest, UpdateContactRuleRequest,
};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use crate::faults::environment::Environment;
use crate::faults::ledger::Outcome;
use crate::faults::participants::{Pair, Possible, Sent, SentFate, State};

/// Reasons for which nothing is done on a phone that someone else has just changed the way to.
const IN_BETWEEN: [&str; 4] =
    ["CONNECTION_RELEASED", "RECIPIENT_HAS_NOT_MESSAGED", "RECIPIENT_BLOCKED", "UPSTREAM_FAILED"];

/// Does one thing; false where its outcome is not known.
pub(crate) async fn step(env: &Environment, pair: &Pair, chance: &mut StdRng) -> bool {
    let (conversation_id, is_blocking) = {
        let state = pair.state();
        (state.conversation_id.clone(), state.rule.status.allows(&Some(ContactRuleStatus::Active)))
    };
    // Nothing to do before the first text; false, so that it is waited for.
    let Some(id) = conversation_id else { return false };
    match chance.random_range(0..100) {
        0..1 => release(env, pair).await,
        1..5 => change_rule(env, pair, chance).await,
        // A block is short, and nothing else happens during it.
        _ if is_blocking => change_rule(env, pair, chance).await,
        5..18 => try_again(env, pair, chance).await,
        18..38 => mark(env, pair, id).await,
        38..43 => {
            let request = SendTypingIndicatorRequest { conversation_id: id, ..Default::default() };
            let answer = env.caller(&pair.agent).send_typing_indicator(request).await;
            !matches!(expect(env.tally.record("typing", answer)), Outcome::Unknown)
        }
        43..52 => react(env, pair, chance).await,
        _ => say(env, pair).await,
    }
}

fn expect<T>(outcome: Outcome<T>) -> Outcome<T> {
    if let Outcome::Refused(reason) = &outcome {
        assert!(IN_BETWEEN.contains(&&**reason), "{reason}");
    }
    outcome
}

async fn say(env: &Environment, pair: &Pair) -> bool {
    let place = {
        let mut state = pair.state();
        let words = format!("{} answers {}", pair.name, state.number());
        state.sent.push(Sent { words, fate: SentFate::Unknown, queued: false, doubtful: false });
        state.sent.len() - 1
    };
    send(env, pair, place).await
}

/// Sends something again under its key: of unknown outcome, or that is a message already.
async fn try_again(env: &Environment, pair: &Pair, chance: &mut StdRng) -> bool {
    let place = {
        let state = pair.state();
        let open = state.sent.iter().enumerate().filter(|(_, sent)| sent.fate != SentFate::Refused);
        let open: Vec<_> = open.map(|(place, sent)| (place, sent.fate == SentFate::Unknown)).collect();
        let unknown: Vec<_> = open.iter().filter(|(_, unknown)| *unknown).copied().collect();
        let from = if unknown.is_empty() || chance.random_bool(0.2) { &open } else { &unknown };
        from.choose(chance).map(|(place, _)| *place)
    };
    match place {
        Some(place) => send(env, pair, place).await,
        None => true,
    }
}

/// Sends a message, or asks what became of it; false where that is not known.
pub(crate) async fn send(env: &Environment, pair: &Pair, place: usize) -> bool {
    let (before, conversation_id, moves) = {
        let state = pair.state();
        (state.sent[place].clone(), state.conversation_id.clone().unwrap(), moves(&state))
    };
    let request = SendMessageRequest {
        target: Some(Target::ConversationId(conversation_id)),
        text: Some(before.words.clone()),
        idempotency_key: Some(before.words.clone()),
        ..Default::default()
    };
    // Either key means the same sender.
    let secret = if place.is_multiple_of(2) { &pair.agent } else { &pair.admin };
    let answer = env.caller(secret).send_message(request).await;
    let call = if before.fate == SentFate::Unknown { "send" } else { "replay" };
    let outcome = env.tally.record(call, answer);
    let mut state = pair.state();
    let why = format!("{before:?}: {outcome:?}, {state:?}");
    let fate = match (outcome, before.fate) {
        (Outcome::Unknown, fate) => {
            state.sent[place].doubtful |= fate == SentFate::Unknown;
            return false;
        }
        (Outcome::Done(answer), fate) => {
            let message = answer.message.unwrap();
            // The retry of a failed send is another message.
            let is_new = matches!(&fate, SentFate::Unknown | SentFate::Failed);
            assert!(is_new || fate == SentFate::Is(message.id.clone()), "{why}");
            state.sent[place].queued |= message.status() == DeliveryStatus::Queued;
            SentFate::Is(message.id)
        }
        (Outcome::Refused(reason), SentFate::Unknown | SentFate::Failed) if reason == "UPSTREAM_FAILED" => {
            SentFate::Failed
        }
        (Outcome::Refused(reason), fate @ (SentFate::Unknown | SentFate::Failed)) => {
            match &*reason {
                "RECIPIENT_BLOCKED" => assert!(state.rule.changes > 0, "{why}"),
                "CONNECTION_RELEASED" | "RECIPIENT_HAS_NOT_MESSAGED" => {
                    assert!(moves > 0 || self::moves(&state) > 0, "{why}");
                }
                _ => panic!("{why}"),
            }
            if fate == SentFate::Failed { fate } else { SentFate::Refused }
        }
        _ => panic!("{why}"),
    };
    state.sent[place].fate = fate;
    true
}

/// How often someone began to part the two.
fn moves(state: &State) -> u32 {
    state.connections.iter().map(|connection| connection.attempts).sum()
}

async fn mark(env: &Environment, pair: &Pair, conversation_id: String) -> bool {
    let there = pair.state().stored(true);
    let answer = env
        .caller(&pair.agent)
        .mark_conversation_read(MarkConversationReadRequest { conversation_id, ..Default::default() })
        .await;
    let outcome = expect(env.tally.record("mark", answer));
    let mut state = pair.state();
    match outcome {
        Outcome::Done(answer) => {
            state.marked += answer.updated_count;
            state.read.extend(there);
        }
        Outcome::Refused(_) => {}
        Outcome::Unknown => {
            state.marks_unknown = true;
            return false;
        }
    }
    true
}

async fn react(env: &Environment, pair: &Pair, chance: &mut StdRng) -> bool {
    let kind = *[ReactionType::Love, ReactionType::Like, ReactionType::Emphasize].choose(chance).unwrap();
    let (message_id, before) = {
        let mut state = pair.state();
        let Some(id) = state.stored(true).choose(chance).cloned() else { return true };
        let live = state.ours.entry(id.clone()).or_insert(Possible::only(None));
        if live.known().is_none() {
            return true;
        }
        let before = live.clone();
        live.may_be(Some(kind));
        (id, before)
    };
    let request =
        SendReactionRequest { message_id: message_id.clone(), reaction: kind.into(), part_index: 0 };
    let answer = env.caller(&pair.agent).send_reaction(request).await;
    let after = match expect(env.tally.record("agent's tapback", answer)) {
        Outcome::Done(_) => Possible::only(Some(kind)),
        Outcome::Refused(_) => before,
        Outcome::Unknown => return false,
    };
    pair.state().ours.insert(message_id, after);
    true
}

/// Ends the newest connection, or asks for it again.
pub(crate) async fn release(env: &Environment, pair: &Pair) -> bool {
    let connection_id = {
        let mut state = pair.state();
        let Some(id) = state.current().map(|connection| connection.id.clone()) else { return true };
        state.ends(&id);
        id
    };
    let request = ReleaseConnectionRequest { connection_id: connection_id.clone() };
    let answer = env.caller(&pair.admin).release_connection(request).await;
    match env.tally.record("release", answer) {
        Outcome::Done(_) => {}
        // Someone else has ended it, or this, before.
        Outcome::Refused(reason) => {
            let attempts = pair.state().attempts(&connection_id);
            assert!(reason == "NOT_FOUND" && attempts > 1, "{reason}: {connection_id}, attempt {attempts}");
        }
        Outcome::Unknown => return false,
    }
    pair.state().ended(&connection_id);
    true
}

async fn change_rule(env: &Environment, pair: &Pair, chance: &mut StdRng) -> bool {
    let deletes = chance.random_bool(0.3);
    let (id, before, after) = {
        let mut state = pair.state();
        let rule = &mut state.rule;
        // What was asked for without an answer may still come true: nothing else is asked for then.
        let Some(status) = rule.status.known().copied() else { return false };
        let after = match status {
            Some(_) if deletes => None,
            Some(ContactRuleStatus::Active) => Some(ContactRuleStatus::Paused),
            _ => Some(ContactRuleStatus::Active),
        };
        let before = rule.status.clone();
        rule.status.may_be(after);
        rule.changes += 1;
        (rule.id.clone(), before, after)
    };
    let admin = env.caller(&pair.admin);
    let outcome = match (id, after) {
        (None, _) => {
            let request = CreateContactRuleRequest {
                agent_identity_id: Some(pair.identity.id.clone()),
                action: ContactRuleAction::Block.into(),
                match_target: pair.number.clone(),
            };
            let answer = admin.create_contact_rule(request).await;
            rule_id(env.tally.record("rule", answer.map(|answer| answer.contact_rule)))
        }
        (Some(contact_rule_id), None) => {
            let answer = admin.delete_contact_rule(DeleteContactRuleRequest { contact_rule_id }).await;
            match env.tally.record("rule", answer) {
                Outcome::Done(_) => Outcome::Done(None),
                Outcome::Refused(reason) => Outcome::Refused(reason),
                Outcome::Unknown => Outcome::Unknown,
            }
        }
        (Some(contact_rule_id), Some(status)) => {
            let request =
                UpdateContactRuleRequest { contact_rule_id, status: status.into(), ..Default::default() };
            let answer = admin.update_contact_rule(request).await;
            rule_id(env.tally.record("rule", answer.map(|answer| answer.contact_rule)))
        }
    };
    let mut state = pair.state();
    match outcome {
        Outcome::Done(id) => {
            state.rule.id = id;
            state.rule.status = Possible::only(after);
            // A text that was being delivered all the while saw one or the other.
            state.rule.changes += 1;
        }
        Outcome::Refused(reason) => panic!("{reason}: {before:?} to {after:?}"),
        Outcome::Unknown => return false,
    }
    true
}

fn rule_id(outcome: Outcome<Option<inkbox_imessage::proto::ContactRule>>) -> Outcome<Option<String>> {
    match outcome {
        Outcome::Done(rule) => Outcome::Done(Some(rule.unwrap().id)),
        Outcome::Refused(reason) => Outcome::Refused(reason),
        Outcome::Unknown => Outcome::Unknown,
    }
}
