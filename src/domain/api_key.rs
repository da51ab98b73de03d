//! API keys and their secrets.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::wire_enum::wire_enum;
use super::{ApiKeyId, IdentityId, OrganizationId};

wire_enum! {
    /// What a key grants access to.
    ApiKeyScope {
        /// All data of one organization.
        Admin = 1,
        /// One identity.
        Identity = 2,
        /// `RouterService`, without an organization.
        Router = 3,
    }
}

/// An API key without its secret.
#[derive(Debug, Clone)]
pub struct ApiKey {
    pub id: ApiKeyId,
    /// `None` for router keys.
    pub organization_id: Option<OrganizationId>,
    pub scope: ApiKeyScope,
    /// Set for identity keys only.
    pub agent_identity_id: Option<IdentityId>,
    /// Free text.
    pub label: String,
    /// First characters of the secret.
    pub display_prefix: String,
    pub created_at: DateTime<Utc>,
    /// The key is rejected from this time on; `None` = never.
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// Exact to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key's secret: 256 random bits as text. Returned once, when the key is issued; only its digest is stored.
pub struct Secret(String);

/// SHA-256 of a secret, by which a key is looked up. 256 random bits cannot be guessed, so a slow hash would add nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl Secret {
    /// Random bytes in a secret.
    pub const BYTES: usize = 32;
    /// Identifies the issuer to people and to secret scanners.
    const PREFIX: &'static str = "ink_";
    /// Characters of the random part: six bits each.
    const RANDOM_CHARACTERS: usize = 43;
    /// Characters of the random part in `display_prefix`: 48 of 256 bits.
    const PREFIX_CHARACTERS: usize = 8;

    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Whether a text can be a secret. Anything else is known to be wrong without a look-up.
    #[must_use]
    pub fn is_well_formed(presented: &[u8]) -> bool {
        let random = presented.strip_prefix(Self::PREFIX.as_bytes());
        random.is_some_and(|random| {
            random.len() == Self::RANDOM_CHARACTERS
                && random.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
    }

    /// The secret itself, for the one response that contains it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Enough to recognise the key, not enough to use it.
    #[must_use]
    pub fn display_prefix(&self) -> &str {
        &self.0[..Self::PREFIX.len() + Self::PREFIX_CHARACTERS]
    }

    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.0.as_bytes())
    }
}

impl KeyDigest {
    #[must_use]
    pub fn of(presented: &[u8]) -> Self {
        Self(Sha256::digest(presented).into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyDigest, Secret};

    #[test]
    fn a_secret_starts_with_its_display_prefix_and_debug_hides_it() {
        let secret = Secret::from_bytes([7; Secret::BYTES]);
        assert!(secret.reveal().len() >= 43);
        assert!(secret.reveal().starts_with(secret.display_prefix()));
        assert!(secret.display_prefix().len() <= 12);
        assert_eq!(format!("{secret:?} {:?}", secret.digest()), "Secret(..) KeyDigest(..)");
        assert_eq!(secret.digest(), KeyDigest::of(secret.reveal().as_bytes()));
    }
}
