//! Records when API keys were last used. Usage is kept in memory and flushed in batches, so that no call waits for a write
//! and no key's row is updated at the rate of its calls.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};

use crate::domain::{ApiKeyId, OrganizationId, Principal};
use crate::error::Error;
use crate::store::Database;
use crate::store::key_digests::{self, KeyUse};

/// Maximum number of keys in memory. The usage of further keys is dropped until the next flush.
const MAX_KEYS: usize = 10_000;

/// Last usage of each key, to the minute: not yet flushed, or flushed within the newest minute.
#[derive(Debug, Default)]
pub(super) struct KeyUsage {
    by_key: Mutex<HashMap<ApiKeyId, LastUse>>,
}

#[derive(Debug)]
struct LastUse {
    organization_id: Option<OrganizationId>,
    minute: DateTime<Utc>,
    is_flushed: bool,
}

impl KeyUsage {
    /// Records that a key was used. Further uses in the same minute only cost a hash look-up.
    pub(super) fn record(&self, principal: &Principal, now: DateTime<Utc>) {
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap_or(now);
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if by_key.get(&principal.key_id()).is_some_and(|last| last.minute >= minute) {
            return;
        }
        if by_key.len() >= MAX_KEYS {
            return;
        }
        let organization_id = match principal {
            Principal::Tenant(tenant) => Some(tenant.organization_id.clone()),
            Principal::Router { .. } => None,
        };
        by_key.insert(principal.key_id(), LastUse { organization_id, minute, is_flushed: false });
    }

    /// Writes unflushed usage to the database, one statement per organization. A statement that fails is repeated by the
    /// next flush.
    pub(super) async fn flush(&self, db: &Database) {
        let mut unflushed: HashMap<Option<OrganizationId>, Vec<KeyUse>> = HashMap::new();
        {
            let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
            let newest = by_key.values().map(|last| last.minute).max();
            // Flushed usage of an earlier minute is no longer needed to suppress repeated writes.
            by_key.retain(|_, last| !last.is_flushed || Some(last.minute) == newest);
            for (key_id, last) in by_key.iter_mut().filter(|(_, last)| !last.is_flushed) {
                let used = KeyUse { key_id: *key_id, at: last.minute };
                unflushed.entry(last.organization_id.clone()).or_default().push(used);
                last.is_flushed = true;
            }
        }
        for (organization_id, uses) in unflushed {
            if let Err(failure) = key_digests::record_uses(db, organization_id.as_ref(), &uses).await {
                tracing::debug!(error = %Error::from(failure), "key usage was not flushed; it is retried");
                let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
                for used in uses {
                    if let Some(last) = by_key.get_mut(&used.key_id) {
                        last.is_flushed = false;
                    }
                }
            }
        }
    }
}
