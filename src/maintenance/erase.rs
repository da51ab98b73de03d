//! Erases one human from one organization while the service runs. Every step is one bounded, idempotent
//! transaction: an interrupted erasure is completed by running it again, or by the background cleanup.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::domain::{ConversationId, IdentityId, OrganizationId, PhoneNumber};
use crate::maintenance::cleanup::{self, DEDUPLICATION_RETENTION};
use crate::store::retention::{self, DiscardOutcome, Participants, Purged};
use crate::store::{Database, StoreError, connections};

/// How long a release waits for sends in flight. Longer than a carrier call takes with any sensible setting;
/// the wait ends as soon as the sends do.
const MAX_SEND_DURATION: Duration = Duration::from_mins(2);
/// Pause before a pair is tried again that was reconnected or has a send in flight.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// How long one pair is retried before erasure fails: a human may reconnect repeatedly.
const PAIR_TIMEOUT: Duration = Duration::from_mins(3);

/// The human to erase and the organization to erase them from.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The human's number.
    pub remote_number: PhoneNumber,
    /// Whether contact rules for the number are kept, so that a blocked number stays blocked.
    pub keep_rules: bool,
}

/// How many rows were erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Connections, including released ones.
    pub connections: u64,
    /// Those of the connections that were active and therefore released first.
    pub released: u64,
    /// Conversations.
    pub conversations: u64,
    /// Messages, including those left over by an interrupted erasure.
    pub messages: u64,
    /// Reactions on the messages.
    pub reactions: u64,
    /// Idempotency keys of the messages.
    pub idempotency_keys: u64,
    /// Contact rules.
    pub contact_rules: u64,
}

impl Erased {
    /// Whether nothing was erased.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    const fn add_all(&mut self, other: Self) {
        self.connections += other.connections;
        self.released += other.released;
        self.conversations += other.conversations;
        self.messages += other.messages;
        self.reactions += other.reactions;
        self.idempotency_keys += other.idempotency_keys;
        self.contact_rules += other.contact_rules;
    }

    const fn add(&mut self, purged: Purged) {
        self.messages += purged.messages;
        self.reactions += purged.reactions;
        self.idempotency_keys += purged.idempotency_keys;
    }
}

/// Erases a human from an organization. After it returns, no row of the organization refers to them. Messages
/// and connects that arrive during the erasure are erased as well, until `PAIR_TIMEOUT`.
///
/// # Errors
/// `Unavailable` if a connection could not be discarded within `PAIR_TIMEOUT`. What was erased before the
/// error stays erased.
pub async fn erase(db: &Database, clock: &Arc<dyn Clock>, subject: &Subject) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    purge_left_over(db, clock, &subject.organization_id, &mut erased).await?;
    // An earlier version may have stored the human under another form of the number.
    for form in subject.remote_number.forms() {
        let subject = Subject { remote_number: form, ..subject.clone() };
        erase_number(db, clock, &subject, &mut erased).await?;
    }
    // Also when nothing was erased: an earlier run may have been interrupted before this.
    cleanup::forget_erased(db, &subject.organization_id).await?;
    Ok(erased)
}

async fn erase_number(
    db: &Database,
    clock: &Arc<dyn Clock>,
    subject: &Subject,
    erased: &mut Erased,
) -> Result<(), StoreError> {
    loop {
        let identities =
            retention::connected_identities(db, &subject.organization_id, &subject.remote_number).await?;
        if identities.is_empty() {
            break;
        }
        for identity_id in identities {
            let pair = erase_pair(db, clock, &subject.organization_id, identity_id, &subject.remote_number);
            erased.add_all(pair.await?);
        }
    }
    if !subject.keep_rules {
        erased.contact_rules +=
            retention::delete_contact_rules(db, &subject.organization_id, &subject.remote_number).await?;
    }
    Ok(())
}

/// Purges the conversations that interrupted erasures left over. Discarded conversations do not store a
/// number, so all of the organization's are purged.
async fn purge_left_over(
    db: &Database,
    clock: &Arc<dyn Clock>,
    organization_id: &OrganizationId,
    erased: &mut Erased,
) -> Result<(), StoreError> {
    loop {
        let discarded = retention::list_discarded(db, Some(organization_id), None).await?;
        if discarded.is_empty() {
            return Ok(());
        }
        for (_, conversation_id) in discarded {
            purge(db, clock, organization_id, conversation_id, erased).await?;
        }
    }
}

/// Releases and discards everything between the human and one identity.
pub(super) async fn erase_pair(
    db: &Database,
    clock: &Arc<dyn Clock>,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    remote_number: &PhoneNumber,
) -> Result<Erased, StoreError> {
    let mut erased = Erased::default();
    let deadline = Instant::now() + PAIR_TIMEOUT;
    loop {
        let active = retention::active_connection(db, organization_id, identity_id, remote_number).await?;
        if let Some(id) = active {
            let clock = clock.clone();
            let now = move || clock.now();
            if connections::release(db, organization_id, id, now, MAX_SEND_DURATION).await?.is_some() {
                erased.released += 1;
            }
        }
        let participants = Participants {
            organization_id: organization_id.clone(),
            identity_id,
            remote_number: remote_number.clone(),
        };
        match retention::discard(db, participants, None, clock.now()).await? {
            DiscardOutcome::Discarded(discarded) => {
                erased.connections += discarded.connections;
                if let Some(conversation_id) = discarded.conversation_id {
                    erased.conversations += 1;
                    purge(db, clock, organization_id, conversation_id, &mut erased).await?;
                }
                return Ok(erased);
            }
            DiscardOutcome::NotFound => return Ok(erased),
            DiscardOutcome::StillConnected | DiscardOutcome::SendsInFlight if Instant::now() < deadline => {
                sleep(RETRY_INTERVAL).await;
            }
            DiscardOutcome::StillConnected | DiscardOutcome::SendsInFlight => {
                return Err(StoreError::Unavailable(
                    "a connection was still in use after several minutes: try again",
                ));
            }
        }
    }
}

/// Purges all messages of a discarded conversation, possibly sharing the work with a concurrent cleanup.
async fn purge(
    db: &Database,
    clock: &Arc<dyn Clock>,
    organization_id: &OrganizationId,
    conversation_id: ConversationId,
    erased: &mut Erased,
) -> Result<(), StoreError> {
    loop {
        let now = clock.now();
        let purged =
            retention::purge(db, organization_id, conversation_id, now - DEDUPLICATION_RETENTION, now)
                .await?;
        erased.add(purged);
        if !purged.more {
            return Ok(());
        }
    }
}
