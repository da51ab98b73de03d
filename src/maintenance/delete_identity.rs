//! Deletes an identity and everything that belongs to it, while the service runs. Every step is one bounded, idempotent
//! transaction. The identity itself is deleted last: a deletion that was interrupted leaves it listed and disabled, and is
//! completed by repeating it.

use std::sync::Arc;

use crate::clock::Clock;
use crate::domain::{IdentityId, OrganizationId};
use crate::maintenance::{cleanup, erase};
use crate::store::identities::{self, DeletionOutcome};
use crate::store::{Database, StoreError};

/// Disables an identity and revokes its keys. False if it does not exist.
///
/// # Errors
/// Those of the database.
pub async fn begin(
    db: &Database,
    clock: &Arc<dyn Clock>,
    organization_id: &OrganizationId,
    id: IdentityId,
) -> Result<bool, StoreError> {
    identities::begin_deletion(db, organization_id, id, clock.now()).await
}

/// Releases and erases the connections and conversations of an identity whose deletion has begun, and then deletes it.
///
/// # Errors
/// Those of the database, and `Unavailable` if a connection could not be discarded. What was deleted stays deleted.
pub async fn complete(
    db: &Database,
    clock: &Arc<dyn Clock>,
    organization_id: &OrganizationId,
    id: IdentityId,
) -> Result<(), StoreError> {
    loop {
        let mut after = String::new();
        loop {
            let humans = identities::humans_of(db, organization_id, id, &after).await?;
            let Some(last) = humans.last() else { break };
            last.as_str().clone_into(&mut after);
            for human in &humans {
                erase::erase_pair(db, clock, organization_id, id, human).await?;
            }
        }
        match identities::finish_deletion(db, organization_id, id, clock.now()).await? {
            DeletionOutcome::Deleted => return cleanup::forget_erased(db, organization_id).await,
            // A human connected before the identity was disabled, or it was enabled again.
            DeletionOutcome::InUse => {}
        }
    }
}
