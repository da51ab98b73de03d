//! The sandbox: a carrier that reaches no phone, records its deliveries in memory, and fails on demand.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::Thread;
use super::carrier::{Accepted, Action, Carrier, OutboundMessage};
use super::delivery_log::{Delivery, DeliveryKind, DeliveryLog};
use super::error::CarrierError;
use crate::admission::Share;
use crate::clock::Clock;
use crate::domain::{ConversationId, OrganizationId, Page, PageRequest};

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

/// As often as a human may want to see it in the list of deliveries.
const TYPING_RENEWAL: Duration = Duration::from_secs(10);

/// A carrier without phones.
#[derive(Debug)]
pub struct Sandbox {
    clock: Arc<dyn Clock>,
    call_timeout: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: DeliveryLog,
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
    /// `share` is the part of the recorded deliveries that one organization may have. `call_timeout` bounds the calls that
    /// get no response.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, share: Share, call_timeout: Duration) -> Self {
        let state = State { log: DeliveryLog::new(share), odd_call_count: 0 };
        Self { clock, call_timeout, state: Mutex::new(state) }
    }

    /// A page of an organization's deliveries by this process, oldest first. The first page has the newest ones, each
    /// further page those before.
    #[must_use]
    pub fn deliveries(
        &self,
        organization_id: &OrganizationId,
        conversation_id: Option<ConversationId>,
        page: &PageRequest,
    ) -> Page<Delivery> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.log.list(organization_id, conversation_id, page)
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
        state.log.push(Delivery {
            id: self.clock.new_id(),
            kind: match action {
                Action::ReadReceipt => DeliveryKind::ReadReceipt,
                Action::Typing => DeliveryKind::Typing,
                Action::TypingStop => DeliveryKind::TypingStop,
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

    fn typing_renewal(&self) -> Duration {
        TYPING_RENEWAL
    }
}
