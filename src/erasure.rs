//! Erasing one human from one organization, while the service runs. Every step is a bounded transaction of its own, and
//! each is safe to be taken again: whoever is killed half-way is asked once more, or leaves the rest to the sweeper.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::clock::Clock;
use crate::domain::{ConversationId, IdentityId, OrganizationId, PhoneNumber};
use crate::store::retention::{self, Discarding, Pair, Purged};
use crate::store::{Database, Failure, connections};
use crate::sweeper::KEPT;

/// How long a send may keep a connection from being released. More than a line takes by any sensible setting; the wait
/// ends as soon as the sends do.
const LONGEST_SEND: Duration = Duration::from_mins(2);
/// Between two looks at a pair that was connected again, or has a send under way.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long a pair is tried: a human who connects again and again is told from one who did so once.
const PAIR_LIMIT: Duration = Duration::from_mins(3);

/// Whom to erase, and from where.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The organization.
    pub organization_id: OrganizationId,
    /// The human.
    pub remote_number: PhoneNumber,
    /// Whether contact rules for the number stay: who was blocked stays blocked.
    pub keep_rules: bool,
}

/// What was erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Erased {
    /// Connections, ended ones too.
    pub connections: u64,
    /// Those of them that were released for it.
    pub released: u64,
    /// Conversations.
    pub conversations: u64,
    /// Messages, also those that an erasure before this one had left behind.
    pub messages: u64,
    /// Reactions on them.
    pub reactions: u64,
    /// Idempotency keys under which they were sent.
    pub idempotency_keys: u64,
    /// Contact rules.
    pub contact_rules: u64,
}

impl Erased {
    /// Whether there was nothing at all.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    const fn add(&mut self, purged: Purged) {
        self.messages += purged.messages;
        self.reactions += purged.reactions;
        self.idempotency_keys += purged.idempotency_keys;
    }
}

/// Erases a human from an organization. When this returns, nothing is left there that tells of them; what a human texts
/// or connects meanwhile is erased too, up to a bound.
///
/// # Errors
/// `Unavailable` when a pair would not come apart within its limit; what was erased by then stays erased.
pub async fn erase(db: &Database, clock: &Arc<dyn Clock>, subject: &Subject) -> Result<Erased, Failure> {
    let mut erased = Erased::default();
    // What an erasure that was killed left behind has no number any more, so all of it is taken.
    loop {
        let left = retention::some_discarded(db, Some(&subject.organization_id)).await?;
        if left.is_empty() {
            break;
        }
        for (_, conversation_id) in left {
            purge(db, clock, &subject.organization_id, conversation_id, &mut erased).await?;
        }
    }
    loop {
        let identities = retention::identities_of(db, &subject.organization_id, &subject.remote_number).await?;
        if identities.is_empty() {
            break;
        }
        for identity_id in identities {
            erase_pair(db, clock, subject, identity_id, &mut erased).await?;
        }
    }
    if !subject.keep_rules {
        erased.contact_rules +=
            retention::delete_rules(db, &subject.organization_id, &subject.remote_number).await?;
    }
    Ok(erased)
}

async fn erase_pair(
    db: &Database,
    clock: &Arc<dyn Clock>,
    subject: &Subject,
    identity_id: IdentityId,
    erased: &mut Erased,
) -> Result<(), Failure> {
    let Subject { organization_id, remote_number, .. } = subject;
    let give_up = Instant::now() + PAIR_LIMIT;
    loop {
        let active = retention::active_connection(db, organization_id, identity_id, remote_number).await?;
        if let Some(id) = active {
            let clock = clock.clone();
            let now = move || clock.now();
            if connections::release(db, organization_id, id, now, LONGEST_SEND).await?.is_some() {
                erased.released += 1;
            }
        }
        let pair = Pair {
            organization_id: organization_id.clone(),
            identity_id,
            remote_number: remote_number.clone(),
        };
        match retention::discard(db, pair, None, clock.now()).await? {
            Discarding::Done(discarded) => {
                erased.connections += discarded.connections;
                if let Some(conversation_id) = discarded.conversation_id {
                    erased.conversations += 1;
                    purge(db, clock, organization_id, conversation_id, erased).await?;
                }
                return Ok(());
            }
            Discarding::Nothing => return Ok(()),
            Discarding::Connected | Discarding::SendsUnderWay if Instant::now() < give_up => {
                sleep(LOOK_AGAIN).await;
            }
            Discarding::Connected | Discarding::SendsUnderWay => {
                return Err(Failure::Unavailable("an agent and the human would not come apart: try again"));
            }
        }
    }
}

/// To its end, side by side with a sweeper that found the same conversation.
async fn purge(
    db: &Database,
    clock: &Arc<dyn Clock>,
    organization_id: &OrganizationId,
    conversation_id: ConversationId,
    erased: &mut Erased,
) -> Result<(), Failure> {
    loop {
        let now = clock.now();
        let purged = retention::purge(db, organization_id, conversation_id, now - KEPT, now).await?;
        erased.add(purged);
        if !purged.more {
            return Ok(());
        }
    }
}
