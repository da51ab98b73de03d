//! What was acknowledged is there, nothing was done twice, and what was refused was not done.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::stream::{StreamExt as _, iter};
use inkbox_imessage::proto::{
    DeliveryKind, DeliveryStatus, ListConversationsRequest, ListDeliveriesRequest, ListMessagesRequest,
    Message, MessageDirection, ReactionType,
};

use crate::faults::environment::Environment;
use crate::faults::participants::{Ended, Fate, Pair, Possible, SentFate, State};
use crate::faults::settle::{AT_ONCE, active, until_done};

/// How many deliveries of a conversation the sandbox lists.
const LISTED: usize = 1_000;

/// What became of messages at their line, by their words.
pub(crate) enum Line {
    /// How often each reached a phone.
    Phones,
    /// How often each was tried.
    Sandbox(BTreeMap<String, usize>),
}

impl Line {
    /// Of the sandbox, which lists the newest thousand deliveries of a conversation.
    pub(crate) async fn sandbox(env: &Environment, pairs: &[Arc<Pair>]) -> Self {
        let mut times = BTreeMap::new();
        for pair in pairs {
            let request = ListDeliveriesRequest {
                conversation_id: pair.state().conversation_id.clone(),
                ..Default::default()
            };
            if request.conversation_id.is_none() {
                continue;
            }
            let list = until_done("deliveries are listed", async || {
                env.caller(&pair.admin).list_deliveries(request.clone()).await
            });
            let deliveries = list.await.deliveries;
            assert!(deliveries.len() < LISTED, "{}: more deliveries than are listed", pair.name);
            for delivery in deliveries.into_iter().filter(|one| one.kind() == DeliveryKind::Message) {
                *times.entry(delivery.text.unwrap()).or_default() += 1;
            }
        }
        Self::Sandbox(times)
    }

    fn times(&self, env: &Environment, words: &str) -> usize {
        match self {
            Self::Phones => env.phone.times(words),
            Self::Sandbox(times) => times.get(words).copied().unwrap_or_default(),
        }
    }
}

/// Asserts it for all of these. Gives how many messages they have.
pub(crate) async fn all(env: &Environment, pairs: &[Arc<Pair>], line: &Line) -> usize {
    let checked = iter(pairs).map(|pair| one(env, pair, line)).buffer_unordered(AT_ONCE);
    checked.fold(0, async |sum, messages| sum + messages).await
}

async fn one(env: &Environment, pair: &Pair, line: &Line) -> usize {
    let (messages, attempts) = messages(env, pair).await;
    let active = active(env, pair).await;
    let unread = unread(env, pair).await;
    let state = pair.state();
    texts(pair, &state, &messages);
    sent(env, pair, &state, (&messages, &attempts), line);
    everyone_asked_for(pair, &state, &messages);
    reading(pair, &state, &messages, unread);
    reactions(pair, &state, &messages);
    connections(pair, &state, &active);
    messages.len()
}

/// All messages of the two by what they say, each of which was said once. A send that failed may have been repeated: then
/// the last attempt, and how many there were.
async fn messages(env: &Environment, pair: &Pair) -> (BTreeMap<String, Message>, BTreeMap<String, usize>) {
    let conversation_id = pair.state().conversation_id.clone();
    let mut request = ListMessagesRequest {
        agent_identity_id: Some(pair.identity.id.clone()),
        conversation_id,
        limit: Some(200),
        ..Default::default()
    };
    let (mut messages, mut attempts) = (BTreeMap::new(), BTreeMap::new());
    loop {
        let page = until_done("messages are listed", async || {
            env.caller(&pair.admin).list_messages(request.clone()).await
        });
        let page = page.await;
        for message in page.messages.into_iter().filter(|message| message.remote_number == pair.number) {
            let words = message.text.clone().unwrap();
            *attempts.entry(words.clone()).or_default() += 1;
            // Newest first.
            match messages.entry(words) {
                Entry::Vacant(entry) => drop(entry.insert(message)),
                Entry::Occupied(_) => {
                    let has_failed = message.status() == DeliveryStatus::Error;
                    assert!(has_failed, "{}: there twice: {message:?}", pair.name);
                }
            }
        }
        if page.next_page_token.is_empty() {
            return (messages, attempts);
        }
        request.page_token = page.next_page_token;
    }
}

/// Non-blocked messages that are not read, as the conversation says.
async fn unread(env: &Environment, pair: &Pair) -> i32 {
    let mut request = ListConversationsRequest {
        agent_identity_id: Some(pair.identity.id.clone()),
        is_blocked: Some(false),
        limit: Some(200),
        ..Default::default()
    };
    let list = until_done("conversations are listed", async || {
        env.caller(&pair.admin).list_conversations(request.clone()).await
    });
    let list = list.await;
    request.page_token = list.next_page_token;
    assert_eq!(request.page_token, "", "more conversations than a page has");
    let mut own = list.conversations.into_iter().filter(|row| row.remote_number == pair.number);
    let unread = own.next().map_or(0, |row| row.unread_count);
    assert_eq!(own.next(), None, "{}: two conversations", pair.name);
    unread
}

fn texts(pair: &Pair, state: &State, messages: &BTreeMap<String, Message>) {
    for text in &state.texts {
        let found = messages.get(text.request.text());
        let why = || format!("{}: {text:?}: {found:?}", pair.name);
        match &text.fate {
            Fate::Unknown => panic!("not settled: {}", why()),
            Fate::Stored { id, blocked } => {
                let found = found.unwrap_or_else(|| panic!("an acknowledged text is lost: {}", why()));
                assert_eq!(
                    (&found.id, found.direction(), found.status()),
                    (id, MessageDirection::Inbound, DeliveryStatus::Received),
                    "{}",
                    why()
                );
                assert!(blocked.is_none_or(|blocked| blocked == found.is_blocked), "{}", why());
            }
            Fate::NotStored => assert!(text.doubtful || found.is_none(), "{}", why()),
        }
    }
}

fn sent(
    env: &Environment,
    pair: &Pair,
    state: &State,
    (messages, attempts): (&BTreeMap<String, Message>, &BTreeMap<String, usize>),
    line: &Line,
) {
    for sent in &state.sent {
        // The sandbox records failed sends as well.
        let most = match line {
            Line::Phones => 1,
            Line::Sandbox(_) => attempts.get(&sent.words).copied().unwrap_or(1),
        };
        let found = messages.get(&sent.words);
        let times = line.times(env, &sent.words);
        let why = || format!("{}: {sent:?}: {found:?}, {times} times at the line", pair.name);
        assert!(times <= most, "sent twice: {}", why());
        match (&sent.fate, found) {
            (SentFate::Is(id), Some(found)) => {
                assert_eq!((&found.id, found.direction()), (id, MessageDirection::Outbound), "{}", why());
                match found.status() {
                    DeliveryStatus::Queued => assert_eq!(times, most, "{}", why()),
                    // Nobody knows whether it went out.
                    DeliveryStatus::Pending if !sent.queued => {}
                    _ => panic!("{}", why()),
                }
            }
            (SentFate::Is(_), None) => panic!("an acknowledged message is lost: {}", why()),
            (SentFate::Failed, Some(found)) => {
                assert_eq!(found.status(), DeliveryStatus::Error, "{}", why());
                assert!(times == 0 || matches!(line, Line::Sandbox(_)), "failed and sent: {}", why());
            }
            (SentFate::Refused, None) => assert_eq!(times, 0, "refused and sent: {}", why()),
            (SentFate::Refused, Some(_)) => assert!(sent.doubtful, "{}", why()),
            (SentFate::Failed, None) => panic!("{}", why()),
            // A message goes to a line only once it is written down.
            (SentFate::Unknown, None) => assert_eq!(times, 0, "sent and not written down: {}", why()),
            (SentFate::Unknown, Some(_)) => {}
        }
    }
}

/// Nothing is there that nobody asked for.
fn everyone_asked_for(pair: &Pair, state: &State, messages: &BTreeMap<String, Message>) {
    let texts = state.texts.iter().map(|text| text.request.text());
    let asked: BTreeSet<_> = texts.chain(state.sent.iter().map(|sent| &*sent.words)).collect();
    for (words, message) in messages {
        assert!(asked.contains(&**words), "{}: nobody said {message:?}", pair.name);
    }
}

fn reading(pair: &Pair, state: &State, messages: &BTreeMap<String, Message>, unread: i32) {
    let inbound = messages
        .values()
        .filter(|message| message.direction() == MessageDirection::Inbound && !message.is_blocked);
    let (read, not_read): (Vec<_>, Vec<_>) = inbound.partition(|message| message.is_read);
    assert_eq!(unread.unsigned_abs() as usize, not_read.len(), "{}: {not_read:?}", pair.name);
    for message in &not_read {
        assert!(
            !state.read.contains(&message.id),
            "{}: an acknowledged mark is lost on {message:?}",
            pair.name
        );
    }
    let (read, marked) = (read.len(), state.marked.unsigned_abs() as usize);
    assert!(
        marked <= read && (state.marks_unknown || marked == read),
        "{}: {read} read, {marked} marked",
        pair.name
    );
}

fn reactions(pair: &Pair, state: &State, messages: &BTreeMap<String, Message>) {
    for message in messages.values() {
        let live = |direction: MessageDirection| -> Option<ReactionType> {
            let mut of_side = message.reactions.iter().filter(|reaction| reaction.direction() == direction);
            let live = of_side.next().map(inkbox_imessage::proto::Reaction::reaction);
            assert_eq!(of_side.next(), None, "{}: two live at once: {message:?}", pair.name);
            live
        };
        for (direction, known) in
            [(MessageDirection::Outbound, &state.ours), (MessageDirection::Inbound, &state.theirs)]
        {
            let allowed = known.get(&message.id).cloned().unwrap_or(Possible::only(None));
            assert!(
                allowed.allows(&live(direction)),
                "{}: {direction:?} {allowed:?}: {message:?}",
                pair.name
            );
        }
    }
}

fn connections(pair: &Pair, state: &State, active: &[String]) {
    assert!(active.len() <= 1, "{}: {active:?}", pair.name);
    for connection in &state.connections {
        let is_active = active.contains(&connection.id);
        match connection.ended {
            Ended::No => {
                assert!(is_active, "{}: an acknowledged connection is lost: {connection:?}", pair.name);
            }
            Ended::Yes => {
                assert!(!is_active, "{}: an acknowledged release is lost: {connection:?}", pair.name);
            }
            Ended::Perhaps => {}
        }
    }
    // A connect that was not acknowledged may have made one.
    let known = state.connections.iter().any(|connection| active.contains(&connection.id));
    assert!(active.is_empty() || known || state.command.is_some(), "{}: nobody knows {active:?}", pair.name);
}
