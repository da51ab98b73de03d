//! Page tokens: where the next page starts, bound to the list that it continues.
//!
//! A token grants nothing: what a page shows is decided by the key that asks for it. So it is not signed, and it works
//! with any key that sees the same rows, on every replica. The binding only keeps a token from being used with
//! another list, where its position would mean nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::{Cursor, IdentityId, OrganizationId, Page, PageRequest, Start};
use crate::error::{Error, Result};
use crate::grpc::wire::request::{RequestedPage, RequestedStart};

/// First byte of every token; another layout takes another number.
const VERSION: u8 = 1;
/// Bytes of the binding's hash that a token carries: far more than accidents need.
const BINDING_BYTES: usize = 16;
/// Version, binding, time in microseconds, id.
const TOKEN_BYTES: usize = 1 + BINDING_BYTES + 8 + 16;

/// A token as it came from the caller: well formed, but not yet known to belong to this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    binding: [u8; BINDING_BYTES],
    position: Cursor,
}

impl PageToken {
    /// Reads a token; `None` for anything that is not exactly one.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; TOKEN_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (version, rest) = bytes.split_first()?;
        let (binding, rest) = rest.split_first_chunk::<BINDING_BYTES>()?;
        let (micros, id) = rest.split_first_chunk::<8>()?;
        let at = DateTime::<Utc>::from_timestamp_micros(i64::from_be_bytes(*micros))?;
        // Beyond what any row can hold, PostgreSQL would refuse the value itself.
        let stored = (1..=9999).contains(&at.year());
        let id = Uuid::from_slice(id).ok()?;
        (*version == VERSION && stored).then_some(Self { binding: *binding, position: Cursor { at, id } })
    }

    fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.push(VERSION);
        bytes.extend(self.binding);
        bytes.extend(self.position.at.timestamp_micros().to_be_bytes());
        bytes.extend(self.position.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// The list that a token continues: method, scope and filters.
#[derive(Debug)]
pub struct Binding([u8; BINDING_BYTES]);

impl Binding {
    /// `filters` is everything else that decides which rows there are, spelled so that two different sets of filters
    /// never read alike.
    #[must_use]
    pub fn new(
        method: &str,
        organization_id: &OrganizationId,
        identity_id: Option<IdentityId>,
        filters: &str,
    ) -> Self {
        let identity = identity_id.map(|id| id.to_string()).unwrap_or_default();
        let mut hash = Sha256::new();
        for part in [method, organization_id.as_str(), &identity, filters] {
            // Lengths first, so that no two lists of parts run together alike.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        let digest: [u8; 32] = hash.finalize().into();
        let mut binding = [0; BINDING_BYTES];
        binding.copy_from_slice(&digest[..BINDING_BYTES]);
        Self(binding)
    }

    /// The page to read.
    ///
    /// # Errors
    /// `InvalidArgument` when the token belongs to another list.
    pub(in crate::grpc) fn open(&self, page: &RequestedPage) -> Result<PageRequest> {
        let start = match &page.start {
            RequestedStart::Offset(rows) => Start::Offset(*rows),
            RequestedStart::Token(token) if token.binding == self.0 => Start::After(token.position),
            RequestedStart::Token(_) => {
                return Err(Error::invalid(
                    "page_token",
                    "was issued for a different method, scope or set of filters",
                ));
            }
        };
        Ok(PageRequest { limit: page.limit, start })
    }

    /// The token of the next page; empty on the last one.
    #[must_use]
    pub fn next<T>(&self, page: &Page<T>) -> String {
        page.next.map_or_else(String::new, |position| PageToken { binding: self.0, position }.encode())
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::{Binding, Cursor, PageToken};

    #[test]
    fn a_token_reads_back_and_nothing_else_reads() {
        let position = Cursor {
            at: DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time"),
            id: Uuid::from_u128(7),
        };
        let token = PageToken { binding: [3; 16], position };
        let text = token.encode();
        assert_eq!(PageToken::decode(&text), Some(token));
        for bad in ["", "x", "%%%", &text[1..], &format!("{text}A"), &text.replace(&text[..1], "z")] {
            assert_eq!(PageToken::decode(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn bindings_differ_in_every_part() {
        let (org, other) = ("org_a".into(), "org_b".into());
        let identity = Some(Uuid::from_u128(1).into());
        let bindings = [
            Binding::new("List", &org, None, ""),
            Binding::new("Other", &org, None, ""),
            Binding::new("List", &other, None, ""),
            Binding::new("List", &org, identity, ""),
            Binding::new("List", &org, None, "clear"),
        ];
        for (i, a) in bindings.iter().enumerate() {
            for b in &bindings[i + 1..] {
                assert_ne!(a.0, b.0);
            }
        }
    }
}
