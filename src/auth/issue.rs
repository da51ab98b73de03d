//! Making API keys.

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::domain::{ApiKey, ApiKeyScope, IdentityId, OrganizationId, Secret};
use crate::error::{Error, Result};
use crate::store::{self, Database};

/// The longest label of a key, in characters.
pub const LABEL_LIMIT: usize = 255;

/// A key that is wanted. Its owner must exist.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What it may do.
    pub scope: ApiKeyScope,
    /// Its organization; `None` for router keys, and only for them.
    pub organization_id: Option<OrganizationId>,
    /// The identity of an identity key, and only of one.
    pub agent_identity_id: Option<IdentityId>,
    /// Free text for people.
    pub label: String,
    /// From this moment it is refused; `None` = never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Makes a key from the machine's random numbers and stores its digest. The secret is nowhere but in the answer.
///
/// # Errors
/// `StorageUnavailable`, or `Internal` where the machine gives no random numbers.
pub async fn mint(db: &Database, clock: &dyn Clock, new: NewKey) -> Result<(ApiKey, Secret)> {
    let mut bytes = [0; Secret::BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(error = %error, "no random numbers");
        Error::Internal
    })?;
    let secret = Secret::from_bytes(bytes);
    let key = ApiKey {
        id: clock.new_id().into(),
        organization_id: new.organization_id,
        scope: new.scope,
        agent_identity_id: new.agent_identity_id,
        label: new.label,
        display_prefix: secret.display_prefix().to_owned(),
        created_at: clock.now(),
        expires_at: new.expires_at,
        revoked_at: None,
        last_used_at: None,
    };
    store::api_keys::create(db, key.clone(), secret.digest()).await?;
    Ok((key, secret))
}
