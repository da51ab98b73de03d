//! The sandbox: a carrier that reaches no phone, records its deliveries in memory, and fails on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::Thread;
use super::carrier::{Accepted, Action, Carrier, OutboundMessage};
use super::error::CarrierError;
use crate::clock::Clock;
use crate::domain::{ConversationId, OrganizationId, PhoneNumber};

// Numbers of humans that make calls fail.

/// Every call fails with a transient error.
const ALWAYS_FAILS: &str = "+15005550001";
/// The first, third, fifth ... call of this process fails with a transient error.
const FAILS_EVERY_ODD_CALL: &str = "+15005550002";
/// Every call takes [`SLOW_CALL_DURATION`].
const IS_SLOW: &str = "+15005550003";
/// Every call ends with an unknown outcome after the carrier call timeout.
const NEVER_RESPONDS: &str = "+15005550004";
/// Every call is rejected.
const REJECTS: &str = "+15005550005";
const SLOW_CALL_DURATION: Duration = Duration::from_secs(2);

/// Maximum number of recorded deliveries. The oldest are removed first.
const MAX_RECORDED: usize = 10_000;
/// Maximum size of the texts of all recorded deliveries, in bytes. The oldest are removed first.
const MAX_RECORDED_BYTES: usize = 4 << 20;
/// Maximum number of deliveries in one list: the newest ones.
const MAX_LISTED: usize = 1_000;

/// An action that the sandbox performed, or made fail.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Kind of action.
    pub kind: DeliveryKind,
    /// Owner of the conversation.
    pub organization_id: OrganizationId,
    /// The conversation.
    pub conversation_id: ConversationId,
    /// The human.
    pub remote_number: PhoneNumber,
    /// Text of a message; `None` for other actions.
    pub text: Option<String>,
    /// Whether the sandbox made it fail.
    pub failed: bool,
    /// Time of the call.
    pub at: DateTime<Utc>,
}

/// The kind of a delivery, with the numbers of `DeliveryKind` in the proto.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum DeliveryKind {
    /// A message.
    Message = 1,
    /// A read receipt.
    ReadReceipt = 2,
    /// The typing bubble.
    Typing = 3,
    /// A tapback that was added.
    Reaction = 4,
    /// A tapback that was removed.
    ReactionRemoval = 5,
}

/// A carrier without phones.
#[derive(Debug)]
pub struct Sandbox {
    clock: Arc<dyn Clock>,
    call_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    deliveries: VecDeque<Delivery>,
    text_bytes: usize,
    /// Number of calls to [`FAILS_EVERY_ODD_CALL`].
    odd_call_count: u64,
}

/// How a call will end.
enum Behavior {
    Succeed,
    SucceedSlowly,
    Fail(CarrierError),
    NeverRespond,
}

impl Sandbox {
    /// `call_timeout` bounds the calls that get no response.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, call_timeout: Duration) -> Self {
        Self { clock, call_timeout, state: Mutex::default() }
    }

    /// The newest `MAX_LISTED` deliveries of an organization by this process, oldest first.
    #[must_use]
    pub fn deliveries(
        &self,
        organization_id: &OrganizationId,
        conversation_id: Option<ConversationId>,
    ) -> Vec<Delivery> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest: Vec<_> = state
            .deliveries
            .iter()
            .rev()
            .filter(|delivery| delivery.organization_id == *organization_id)
            .filter(|delivery| conversation_id.is_none_or(|id| delivery.conversation_id == id))
            .take(MAX_LISTED)
            .cloned()
            .collect();
        newest.reverse();
        newest
    }

    /// Decides how a call ends, and records it in the same critical section, so that deliveries are in the order of
    /// arrival.
    fn record(&self, thread: &Thread, action: Action<'_>) -> Behavior {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let behavior = match thread.remote_number.as_str() {
            ALWAYS_FAILS => Behavior::Fail(CarrierError::TRANSIENT),
            FAILS_EVERY_ODD_CALL => {
                state.odd_call_count += 1;
                if state.odd_call_count % 2 == 1 {
                    Behavior::Fail(CarrierError::TRANSIENT)
                } else {
                    Behavior::Succeed
                }
            }
            IS_SLOW => Behavior::SucceedSlowly,
            NEVER_RESPONDS => Behavior::NeverRespond,
            REJECTS => Behavior::Fail(CarrierError::REJECTED),
            _ => Behavior::Succeed,
        };
        // A delivery without an owner is not recorded: it must not be listed for any organization.
        let Some(owner) = &thread.owner else { return behavior };
        state.push(Delivery {
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
            failed: matches!(behavior, Behavior::Fail(_) | Behavior::NeverRespond),
            at: self.clock.now(),
        });
        behavior
    }
}

impl State {
    fn push(&mut self, delivery: Delivery) {
        let bytes = |delivery: &Delivery| delivery.text.as_ref().map_or(0, String::len);
        self.text_bytes += bytes(&delivery);
        self.deliveries.push_back(delivery);
        while self.deliveries.len() > MAX_RECORDED || self.text_bytes > MAX_RECORDED_BYTES {
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
            match self.record(thread, action) {
                Behavior::Succeed => {}
                Behavior::SucceedSlowly => sleep(SLOW_CALL_DURATION).await,
                Behavior::Fail(error) => return Err(error),
                Behavior::NeverRespond => {
                    sleep(self.call_timeout).await;
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
