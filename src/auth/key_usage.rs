//! When keys were last used: noted in memory, written down in batches, so that no call waits for it and no row of a
//! busy key is hot.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use crate::domain::{ApiKeyId, OrganizationId, Principal};
use crate::error::Error;
use crate::store::Database;
use crate::store::key_digests::{self, KeyUse};

/// How many keys may wait to be written down; more are noted at their next use.
const MOST_WAITING: usize = 10_000;

/// Uses that are not written down yet, and those of this minute that are.
#[derive(Debug, Default)]
pub(crate) struct KeyUses {
    noted: Mutex<HashMap<ApiKeyId, Note>>,
}

#[derive(Debug)]
struct Note {
    organization_id: Option<OrganizationId>,
    minute: DateTime<Utc>,
    written: bool,
}

impl KeyUses {
    /// Notes a use. A second one within the minute costs a look and nothing else.
    pub(crate) fn note(&self, principal: &Principal, now: DateTime<Utc>) {
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.get(&principal.key_id()).is_some_and(|note| note.minute >= minute) {
            return;
        }
        if noted.len() >= MOST_WAITING {
            return;
        }
        let organization_id = match principal {
            Principal::Tenant(tenant) => Some(tenant.organization_id.clone()),
            Principal::Router { .. } => None,
        };
        noted.insert(principal.key_id(), Note { organization_id, minute, written: false });
    }

    /// Writes down what was noted, one statement an organization. What could not be written is tried again next time.
    pub(crate) async fn write_down(&self, db: &Database) {
        let mut waiting: HashMap<Option<OrganizationId>, Vec<KeyUse>> = HashMap::new();
        {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = noted.values().map(|note| note.minute).max();
            // A written use of an earlier minute has nothing more to say.
            noted.retain(|_, note| !note.written || Some(note.minute) == newest);
            for (key_id, note) in noted.iter_mut().filter(|(_, note)| !note.written) {
                let used = KeyUse { key_id: *key_id, at: note.minute };
                waiting.entry(note.organization_id.clone()).or_default().push(used);
                note.written = true;
            }
        }
        for (organization_id, uses) in waiting {
            if let Err(failure) = key_digests::record_uses(db, organization_id.as_ref(), &uses).await {
                tracing::debug!(error = %Error::from(failure), "uses of keys not written down");
                let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
                for used in uses {
                    if let Some(note) = noted.get_mut(&used.key_id) {
                        note.written = false;
                    }
                }
            }
        }
    }
}
