//! Page tokens: the cursor at which the next page starts, bound to the list that it continues.
//!
//! A token grants no access: the caller's key decides which rows a page shows. Tokens are therefore not signed, and a
//! token works with every key that sees the same rows, on every replica. The binding only rejects a token that is used
//! with another list, in which its cursor has no meaning.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Datelike as _, Utc};
use prost_types::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::{Cursor, IdentityId, OrganizationId, Page, PageRequest, Start};
use crate::error::{Error, Result};

/// First byte of every token; changes with the layout.
const VERSION: u8 = 1;
/// Bytes of the binding's hash in a token: 16 are enough to make accidental collisions irrelevant.
const BINDING_BYTES: usize = 16;
/// Version, binding, time in microseconds, id.
const TOKEN_BYTES: usize = 1 + BINDING_BYTES + 8 + 16;

/// A well-formed token. `ListBinding::start_of` checks whether it belongs to a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageToken {
    binding: [u8; BINDING_BYTES],
    cursor: Cursor,
}

impl PageToken {
    /// `None` if the text is not a well-formed token.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let bytes: [u8; TOKEN_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (version, rest) = bytes.split_first()?;
        let (binding, rest) = rest.split_first_chunk::<BINDING_BYTES>()?;
        let (micros, id) = rest.split_first_chunk::<8>()?;
        let at = DateTime::<Utc>::from_timestamp_micros(i64::from_be_bytes(*micros))?;
        // PostgreSQL rejects times outside of this range, and no row has one.
        let stored = (1..=9999).contains(&at.year());
        let id = Uuid::from_slice(id).ok()?;
        (*version == VERSION && stored).then_some(Self { binding: *binding, cursor: Cursor { at, id } })
    }

    fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(TOKEN_BYTES);
        bytes.push(VERSION);
        bytes.extend(self.binding);
        bytes.extend(self.cursor.at.timestamp_micros().to_be_bytes());
        bytes.extend(self.cursor.id.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

/// A range of times as `filters` of [`ListBinding::new`] contain it: nothing if the request has none, as before there were
/// ranges.
pub(in crate::grpc) fn range_in_token(start: Option<Timestamp>, end: Option<Timestamp>) -> String {
    let bound = |time: Option<Timestamp>| {
        time.map_or_else(|| "-".to_owned(), |time| format!("{}.{:09}", time.seconds, time.nanos))
    };
    if start.is_none() && end.is_none() {
        return String::new();
    }
    format!(" [{}, {})", bound(start), bound(end))
}

/// A page that a request asks for.
#[derive(Debug)]
pub(in crate::grpc) struct RequestedPage {
    pub(in crate::grpc) limit: u32,
    pub(in crate::grpc) start: RequestedStart,
}

#[derive(Debug)]
pub(in crate::grpc) enum RequestedStart {
    Offset(u32),
    Token(PageToken),
}

/// Identifies the list that a token continues: a hash of method, scope and filters.
#[derive(Debug)]
pub struct ListBinding([u8; BINDING_BYTES]);

impl ListBinding {
    /// `filters` encodes everything else that selects rows. Different filters must have different encodings, and the
    /// encodings must not change: tokens stay valid during a rolling deployment.
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
            // The length prefix keeps different parts from concatenating to the same bytes.
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
    pub(in crate::grpc) fn start_of(&self, page: &RequestedPage) -> Result<PageRequest> {
        let start = match &page.start {
            RequestedStart::Offset(rows) => Start::Offset(*rows),
            RequestedStart::Token(token) if token.binding == self.0 => Start::After(token.cursor),
            RequestedStart::Token(_) => {
                return Err(Error::invalid(
                    "page_token",
                    "was issued for a different method, scope or set of filters",
                ));
            }
        };
        Ok(PageRequest { limit: page.limit, start })
    }

    /// The token of the next page; empty on the last page.
    #[must_use]
    pub fn next_token<T>(&self, page: &Page<T>) -> String {
        page.next.map_or_else(String::new, |cursor| PageToken { binding: self.0, cursor }.encode())
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use uuid::Uuid;

    use super::{Cursor, ListBinding, PageToken};

    #[test]
    fn a_token_round_trips_and_malformed_text_is_rejected() {
        let cursor = Cursor {
            at: DateTime::from_timestamp_micros(1_700_000_000_123_456).expect("a time"),
            id: Uuid::from_u128(7),
        };
        let token = PageToken { binding: [3; 16], cursor };
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
            ListBinding::new("List", &org, None, ""),
            ListBinding::new("Other", &org, None, ""),
            ListBinding::new("List", &other, None, ""),
            ListBinding::new("List", &org, identity, ""),
            ListBinding::new("List", &org, None, "clear"),
        ];
        for (i, a) in bindings.iter().enumerate() {
            for b in &bindings[i + 1..] {
                assert_ne!(a.0, b.0);
            }
        }
    }
}
