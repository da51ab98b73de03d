//! The sandbox line: reaches no phone, remembers what it was asked to do, and fails on demand.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use crate::carriers::{Accepted, Action, Carrier, CarrierError, OutboundMessage, Thread};
use crate::clock::Clock;
use crate::domain::{ConversationId, OrganizationId, PhoneNumber};

/// Always fails; trying again can help.
const ALWAYS_FAILS: &str = "+15005550001";
/// Fails every odd call: the first, the third, and so on, of this process.
const FAILS_EVERY_ODD_CALL: &str = "+15005550002";
/// Takes [`SLOW`].
const IS_SLOW: &str = "+15005550003";
/// Never answers: given up on after the line time-out.
const NEVER_ANSWERS: &str = "+15005550004";
/// Refuses for good.
const REFUSES: &str = "+15005550005";
/// How long [`IS_SLOW`] takes.
const SLOW: Duration = Duration::from_secs(2);

/// How many deliveries are remembered, and how many bytes of text with them. The oldest are forgotten first.
const REMEMBERED: usize = 10_000;
const REMEMBERED_BYTES: usize = 4 << 20;
/// How many deliveries one list shows: the newest ones.
const LISTED: usize = 1_000;

/// One thing the sandbox was asked to do.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What.
    pub kind: DeliveryKind,
    /// Owner of the conversation.
    pub organization_id: OrganizationId,
    /// On which conversation.
    pub conversation_id: ConversationId,
    /// On whose phone.
    pub remote_number: PhoneNumber,
    /// Text of a message.
    pub text: Option<String>,
    /// Whether the sandbox made it fail.
    pub failed: bool,
    /// When the call reached the line.
    pub at: DateTime<Utc>,
}

/// Kinds of delivery. The numbers are those of `DeliveryKind` in the proto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum DeliveryKind {
    /// A message.
    Message = 1,
    /// A read receipt.
    ReadReceipt = 2,
    /// The typing bubble.
    Typing = 3,
    /// A tapback.
    Reaction = 4,
    /// A tapback taken back.
    ReactionRemoval = 5,
}

/// The sandbox line.
#[derive(Debug)]
pub struct Sandbox {
    clock: Arc<dyn Clock>,
    time_out: Duration,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    deliveries: VecDeque<Delivery>,
    text_bytes: usize,
    /// Calls so far by number, for the numbers that count; one entry at most.
    calls: HashMap<&'static str, u64>,
}

/// How a call is going to end.
enum Fate {
    Done,
    Slow,
    Fails(CarrierError),
    NeverAnswers,
}

impl Sandbox {
    /// A sandbox that gives up after `time_out` where it never answers.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, time_out: Duration) -> Self {
        Self { clock, time_out, memory: Mutex::default() }
    }

    /// What this process was asked to do for an organization, oldest first: the newest thousand.
    #[must_use]
    pub fn deliveries(
        &self,
        organization_id: &OrganizationId,
        conversation_id: Option<ConversationId>,
    ) -> Vec<Delivery> {
        let memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest: Vec<_> = memory
            .deliveries
            .iter()
            .rev()
            .filter(|delivery| delivery.organization_id == *organization_id)
            .filter(|delivery| conversation_id.is_none_or(|id| delivery.conversation_id == id))
            .take(LISTED)
            .cloned()
            .collect();
        newest.reverse();
        newest
    }

    /// Decides the fate of a call and remembers it, as one step: deliveries stand in the order of arrival.
    fn arrive(&self, thread: &Thread, action: Action<'_>) -> Fate {
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let fate = match thread.remote_number.as_str() {
            ALWAYS_FAILS => Fate::Fails(CarrierError::PASSING),
            FAILS_EVERY_ODD_CALL => {
                let calls = memory.calls.entry(FAILS_EVERY_ODD_CALL).or_default();
                *calls += 1;
                if *calls % 2 == 1 { Fate::Fails(CarrierError::PASSING) } else { Fate::Done }
            }
            IS_SLOW => Fate::Slow,
            NEVER_ANSWERS => Fate::NeverAnswers,
            REFUSES => Fate::Fails(CarrierError::REFUSED),
            _ => Fate::Done,
        };
        // What belongs to no organization is shown to none.
        let Some(owner) = &thread.owner else { return fate };
        memory.remember(Delivery {
            kind: match action {
                Action::ReadReceipt => DeliveryKind::ReadReceipt,
                Action::Typing => DeliveryKind::Typing,
                Action::Message(_) => DeliveryKind::Message,
                Action::Reaction(_) => DeliveryKind::Reaction,
                Action::ReactionRemoval(_) => DeliveryKind::ReactionRemoval,
            },
            organization_id: owner.organization_id.clone(),
            conversation_id: owner.conversation_id,
            remote_number: thread.remote_number.clone(),
            text: match action {
                Action::Message(message) => message.text.map(str::to_owned),
                _ => None,
            },
            failed: matches!(fate, Fate::Fails(_) | Fate::NeverAnswers),
            at: self.clock.now(),
        });
        fate
    }
}

impl Memory {
    fn remember(&mut self, delivery: Delivery) {
        let bytes = |delivery: &Delivery| delivery.text.as_ref().map_or(0, String::len);
        self.text_bytes += bytes(&delivery);
        self.deliveries.push_back(delivery);
        while self.deliveries.len() > REMEMBERED || self.text_bytes > REMEMBERED_BYTES {
            let Some(oldest) = self.deliveries.pop_front() else { break };
            self.text_bytes -= bytes(&oldest);
        }
    }
}

impl Carrier for Sandbox {
    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, CarrierError>> {
        Box::pin(async move {
            match self.arrive(thread, action) {
                Fate::Done => {}
                Fate::Slow => sleep(SLOW).await,
                Fate::Fails(failure) => return Err(failure),
                Fate::NeverAnswers => {
                    sleep(self.time_out).await;
                    return Err(CarrierError::Unknown);
                }
            }
            let provider_message_id = match action {
                Action::Message(OutboundMessage { id, .. }) => Some(id.to_string()),
                _ => None,
            };
            Ok(Accepted { provider_message_id })
        })
    }
}
