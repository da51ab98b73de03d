//! What can happen next. A step names rows by raw numbers, which are taken modulo what there is when its turn comes, so
//! that every sequence can be driven and a shrunk one as well.

use inkbox_imessage::proto::{DeliveryStatus, ReactionType};
use proptest::prelude::*;

/// One thing that happens, and how long after the one before it.
#[derive(Debug, Clone)]
pub struct Step {
    /// In microseconds; 0 gives equal times.
    pub after: i64,
    pub action: Action,
}

#[derive(Debug, Clone)]
pub enum Action {
    Connect(Pair),
    Disconnect(Pair),
    Release { connection: usize },
    List { human: usize },
    Text { pair: Pair, when: When, body: Body },
    Redeliver { delivery: usize },
    CreateRule { pair: Pair, block: bool, who: Who },
    ChangeRule { rule: usize, block: Option<bool>, paused: Option<bool> },
    DeleteRule { rule: usize },
    Switch { agent: usize, enabled: Option<bool>, whitelist: Option<bool> },
    MarkRead { conversation: usize, who: Who },
    Type { conversation: usize, who: Who },
    NewKey { agent: usize, revoke: bool },
    Send { pair: Pair, by_number: bool, who: Who, body: Body, key: Option<usize> },
    React { message: usize, kind: usize, part: i32, who: Who },
    Unreact { reaction: usize, who: Who },
    HumanReacts { message: usize, kind: usize, part: i32, removed: bool },
    News { message: usize, status: usize, with_error: bool, downgraded: bool },
}

/// An agent and a human, as raw numbers.
#[derive(Debug, Clone, Copy)]
pub struct Pair {
    pub agent: usize,
    pub human: usize,
}

/// What a text says of when it was sent.
#[derive(Debug, Clone, Copy)]
pub enum When {
    Unsaid,
    Earlier(i64),
    Later(i64),
    /// At the same moment as another message.
    As(usize),
}

/// What a message consists of.
#[derive(Debug, Clone, Copy)]
pub enum Body {
    Text,
    /// More than a preview shows, in characters of two bytes.
    LongText,
    Media,
    TextAndMedia,
    /// The keyword with which a human opts out.
    Stop,
    /// The keyword with which a human opts in.
    Start,
}

/// Whose key makes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    Admin,
    /// The agent that the row belongs to.
    Own,
    /// The other agent of the organization.
    Other,
    /// The admin of another organization.
    Foreign,
}

/// Reactions of either side; the last is the human's only.
pub const KINDS: [ReactionType; 4] =
    [ReactionType::Love, ReactionType::Like, ReactionType::Question, ReactionType::Custom];

/// What lines say of messages.
pub const NEWS: [DeliveryStatus; 8] = [
    DeliveryStatus::Registered,
    DeliveryStatus::Pending,
    DeliveryStatus::Queued,
    DeliveryStatus::Accepted,
    DeliveryStatus::Sent,
    DeliveryStatus::Delivered,
    DeliveryStatus::Declined,
    DeliveryStatus::Error,
];

const SECOND: i64 = 1_000_000;

pub fn step() -> impl Strategy<Value = Step> {
    let after = prop_oneof![3 => Just(0), 3 => Just(1), 4 => 1..10 * SECOND];
    (after, action()).prop_map(|(after, action)| Step { after, action })
}

fn action() -> impl Strategy<Value = Action> {
    let part = || 0..2_i32;
    prop_oneof![
        10 => pair().prop_map(Action::Connect),
        2 => pair().prop_map(Action::Disconnect),
        2 => row().prop_map(|connection| Action::Release { connection }),
        1 => human().prop_map(|human| Action::List { human }),
        30 => (pair(), when(), body()).prop_map(|(pair, when, body)| Action::Text { pair, when, body }),
        4 => row().prop_map(|delivery| Action::Redeliver { delivery }),
        4 => (pair(), prop::bool::weighted(0.6), who())
            .prop_map(|(pair, block, who)| Action::CreateRule { pair, block, who }),
        4 => (row(), prop::option::of(any::<bool>()), prop::option::of(any::<bool>()))
            .prop_map(|(rule, block, paused)| Action::ChangeRule { rule, block, paused }),
        3 => row().prop_map(|rule| Action::DeleteRule { rule }),
        4 => (row(), prop::option::of(prop::bool::weighted(0.8)), prop::option::of(prop::bool::weighted(0.3)))
            .prop_map(|(agent, enabled, whitelist)| Action::Switch { agent, enabled, whitelist }),
        9 => (row(), who()).prop_map(|(conversation, who)| Action::MarkRead { conversation, who }),
        2 => (row(), who()).prop_map(|(conversation, who)| Action::Type { conversation, who }),
        1 => (0..AGENTS, any::<bool>()).prop_map(|(agent, revoke)| Action::NewKey { agent, revoke }),
        13 => (pair(), any::<bool>(), who(), body(), prop::option::of(0..4_usize))
            .prop_map(|(pair, by_number, who, body, key)| Action::Send { pair, by_number, who, body, key }),
        6 => (row(), 0..KINDS.len() - 1, part(), who())
            .prop_map(|(message, kind, part, who)| Action::React { message, kind, part, who }),
        3 => (row(), who()).prop_map(|(reaction, who)| Action::Unreact { reaction, who }),
        6 => (row(), 0..KINDS.len(), part(), prop::bool::weighted(0.3))
            .prop_map(|(message, kind, part, removed)| Action::HumanReacts { message, kind, part, removed }),
        6 => (row(), 0..NEWS.len(), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
            |(message, status, with_error, downgraded)| Action::News { message, status, with_error, downgraded }
        ),
    ]
}

/// Agents, two of an organization.
pub const AGENTS: usize = 4;

/// Small numbers stay the row they were when a sequence is shrunk.
fn row() -> impl Strategy<Value = usize> {
    0..1_000_usize
}

/// The agents of one organization come up more often than those of the other, so that their lists grow.
fn pair() -> impl Strategy<Value = Pair> {
    let agent = prop_oneof![4 => Just(0), 4 => Just(1), 2 => Just(2), 1 => Just(3)];
    (agent, human()).prop_map(|(agent, human)| Pair { agent, human })
}

/// The human whose line always fails comes up less often than the others.
fn human() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0), 3 => Just(1), 2 => Just(2)]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        4 => Just(When::Unsaid),
        3 => (0..60 * SECOND).prop_map(When::Earlier),
        1 => (1..60 * SECOND).prop_map(When::Later),
        2 => row().prop_map(When::As),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        6 => Just(Body::Text),
        1 => Just(Body::LongText),
        2 => Just(Body::Media),
        1 => Just(Body::TextAndMedia),
        1 => Just(Body::Stop),
        1 => Just(Body::Start),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![8 => Just(Who::Own), 8 => Just(Who::Admin), 1 => Just(Who::Other), 1 => Just(Who::Foreign)]
}
