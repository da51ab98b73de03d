//! API keys and their secrets.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::wire_enum::wire_enum;
use super::{ApiKeyId, IdentityId, OrganizationId};

wire_enum! {
    /// What a key may do.
    ApiKeyScope {
        /// Everything in one organization.
        Admin = 1,
        /// One identity.
        Identity = 2,
        /// `RouterService`; no organization.
        Router = 3,
    }
}

/// What people may know of a key.
#[derive(Debug, Clone)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Its organization; `None` for router keys.
    pub organization_id: Option<OrganizationId>,
    /// What it may do.
    pub scope: ApiKeyScope,
    /// The only identity of an identity key.
    pub agent_identity_id: Option<IdentityId>,
    /// Free text for people.
    pub label: String,
    /// First characters of the secret.
    pub display_prefix: String,
    /// When it was minted.
    pub created_at: DateTime<Utc>,
    /// From this moment it is refused; `None` = never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked; `None` while it works.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Last use, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key's secret: 256 random bits as text. Shown once, to whoever made it; only its digest is kept.
pub struct Secret(String);

/// SHA-256 of a secret, by which a key is found. A slow hash would add nothing to 256 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl Secret {
    /// Random bytes in a secret.
    pub const BYTES: usize = 32;
    /// Says whose key it is to people and to secret scanners.
    const PREFIX: &'static str = "ink_";
    /// Characters of the secret's random part that `display_prefix` shows: 48 of its 256 bits.
    const SHOWN: usize = 8;

    /// Makes a secret from random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(format!("{}{}", Self::PREFIX, URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// The secret itself, for the one answer that shows it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Enough to recognise the key, never enough to use it.
    #[must_use]
    pub fn display_prefix(&self) -> &str {
        &self.0[..Self::PREFIX.len() + Self::SHOWN]
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.0.as_bytes())
    }
}

impl KeyDigest {
    /// The digest of a secret as a caller presents it.
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
    fn a_secret_begins_with_its_display_prefix_and_debug_shows_nothing_of_it() {
        let secret = Secret::from_bytes([7; Secret::BYTES]);
        assert!(secret.reveal().len() >= 43);
        assert!(secret.reveal().starts_with(secret.display_prefix()));
        assert!(secret.display_prefix().len() <= 12);
        assert_eq!(format!("{secret:?} {:?}", secret.digest()), "Secret(..) KeyDigest(..)");
        assert_eq!(secret.digest(), KeyDigest::of(secret.reveal().as_bytes()));
    }
}
