//! Idempotency keys.

/// A key under which a client repeats a send without sending twice, with the digest of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// 1 to [`Self::MAX_CHARACTERS`] printable ASCII characters. Unique within the sending identity.
    pub key: String,
    /// SHA-256 of the request's content. Tells a repeated request from another one under the same key, so equal requests
    /// must have equal digests, whichever API and version of the program received them.
    pub request_digest: [u8; 32],
}

impl IdempotencyKey {
    pub const MAX_CHARACTERS: usize = 255;
}
