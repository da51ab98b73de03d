//! Issues API keys.

use chrono::{DateTime, Utc};

use crate::clock::Clock;
use crate::domain::{ApiKey, ApiKeyScope, IdentityId, OrganizationId, Secret};
use crate::error::{Error, Result};
use crate::store::{self, Database};

/// Maximum length of a key's label, in characters.
pub const MAX_LABEL_CHARACTERS: usize = 255;

/// A key to issue. Its organization and identity must exist.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The calls that the key may make.
    pub scope: ApiKeyScope,
    /// The organization of an admin or identity key; `None` for router keys.
    pub organization_id: Option<OrganizationId>,
    /// The identity of an identity key; `None` for other keys.
    pub agent_identity_id: Option<IdentityId>,
    /// Free text for people.
    pub label: String,
    /// Time from which the key is refused; `None` = never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Generates a key from the operating system's random numbers and stores its digest. The returned secret is not stored.
///
/// # Errors
/// `StorageUnavailable`; `Internal` if the operating system provides no random numbers.
pub async fn issue_key(db: &Database, clock: &dyn Clock, new: NewKey) -> Result<(ApiKey, Secret)> {
    let mut bytes = [0; Secret::BYTES];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(error = %error, "the operating system provides no random numbers");
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
