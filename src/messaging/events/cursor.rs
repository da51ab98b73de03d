//! Cursors: a place in the log of an organization, sealed so that clients can neither read nor make one.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rand::RngExt as _;
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::domain::OrganizationId;
use crate::error::{Error, Result};
use crate::store::{Database, events};

/// Bytes of the random nonce: enough that two are never equal, so that equal places have different cursors.
const NONCE_BYTES: usize = 24;
/// Bytes of a place: the number and the id.
const PLACE_BYTES: usize = 8 + 16;
/// Separates cursors from anything else that may be sealed with the key. Changes with the layout.
const CONTEXT: &[u8] = b"event cursor 1:";

/// A place in a log: after an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the event; 0 is the place before the first one.
    pub sequence: i64,
    /// Its id, by which a place in a log that was since restored from a backup is recognised. Nil if it was not kept any
    /// more.
    pub event_id: Uuid,
}

/// Seals and opens cursors, once the key was read from the database. Cheap to clone; all clones share the key.
#[derive(Clone, Default)]
pub struct Cursors(Arc<OnceCell<SealedCursors>>);

/// See [`Cursors::ready`].
#[derive(Clone)]
pub struct SealedCursors(Arc<XChaCha20Poly1305>);

impl Cursors {
    /// Reads the key on the first call, and makes it if this is the first call of all.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ready(&self, db: &Database) -> Result<SealedCursors> {
        let key = async {
            let mut new = [0; 32];
            getrandom::fill(&mut new).map_err(|_| Error::Internal)?;
            let key = events::cursor_key(db, new).await?;
            Ok::<_, Error>(SealedCursors(Arc::new(XChaCha20Poly1305::new(&key.into()))))
        };
        self.0.get_or_try_init(|| key).await.cloned()
    }
}

impl SealedCursors {
    /// # Errors
    /// Never in practice: so few bytes can always be sealed.
    pub fn seal(&self, organization_id: &OrganizationId, place: Place) -> Result<String> {
        let nonce: [u8; NONCE_BYTES] = rand::rng().random();
        let mut plain = [0; PLACE_BYTES];
        plain[..8].copy_from_slice(&place.sequence.to_be_bytes());
        plain[8..].copy_from_slice(place.event_id.as_bytes());
        let payload = Payload { msg: &plain, aad: &bound_to(organization_id) };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).map_err(|_| Error::Internal)?;
        Ok(URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat()))
    }

    /// `None` if the text is no cursor of this database and organization.
    #[must_use]
    pub fn open(&self, organization_id: &OrganizationId, text: &str) -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: &bound_to(organization_id) };
        let plain = self.0.decrypt(&XNonce::from(*nonce), payload).ok()?;
        let (sequence, id) = plain.split_first_chunk::<8>()?;
        let event_id = Uuid::from_slice(id).ok()?;
        Some(Place { sequence: i64::from_be_bytes(*sequence), event_id })
    }
}

fn bound_to(organization_id: &OrganizationId) -> Vec<u8> {
    [CONTEXT, organization_id.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
    use uuid::Uuid;

    use super::{Place, SealedCursors};

    fn cursors(key: u8) -> SealedCursors {
        SealedCursors(Arc::new(XChaCha20Poly1305::new(&[key; 32].into())))
    }

    #[test]
    fn a_cursor_opens_for_its_organization_and_database_only() {
        let (org, place) = ("org_a".into(), Place { sequence: 7, event_id: Uuid::from_u128(9) });
        let text = cursors(1).seal(&org, place).expect("a cursor");
        assert_eq!(cursors(1).open(&org, &text), Some(place));
        assert_eq!(cursors(1).open(&"org_b".into(), &text), None);
        assert_eq!(cursors(2).open(&org, &text), None, "another database");
        for bad in ["", "x", "%%%", &text[1..], &text[..text.len() - 1], &format!("{text}A")] {
            assert_eq!(cursors(1).open(&org, bad), None, "{bad:?}");
        }
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ASCII");
            assert_ne!(cursors(1).open(&org, &forged), Some(Place { sequence: 8, ..place }));
            assert!(cursors(1).open(&org, &forged).is_none_or(|opened| opened == place), "character {at}");
        }
    }

    #[test]
    fn a_cursor_tells_nothing_not_even_whether_it_has_moved() {
        let (org, place) = ("org_a".into(), Place { sequence: 7, event_id: Uuid::nil() });
        let cursors = cursors(1);
        let seal = |place| cursors.seal(&org, place).expect("a cursor");
        let (first, second, moved) = (seal(place), seal(place), seal(Place { sequence: i64::MAX, ..place }));
        assert_ne!(first, second);
        assert_eq!(first.len(), moved.len());
    }
}
