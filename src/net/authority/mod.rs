//! Makes the `:authority` of requests acceptable to h2, which resets the stream of a request with another one.
//!
//! Python, C++, Java and Swift clients send the path of a Unix socket as `:authority`, and Python sends the list of
//! `ipv4:a:1,b:2`; some send an empty one. None of these is an authority, but the services never look at it. h2 has neither a
//! setting nor a hook (<https://github.com/hyperium/h2/pull/487>), so the bytes are changed before h2 reads them. See
//! docs/decisions/0021-authority-rewritten-in-place.md.
//!
//! A header block changes the state of header compression, so a rewriting must leave that state as the client expects it. It
//! does, because it replaces octets in place: the encoded length and the decoded length of a field stay the same, and these
//! are all that the table of the compression depends on.

mod block;
mod huffman;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

/// Length of the HTTP/2 connection preface of a client, in bytes (RFC 9113, section 3.4).
pub(super) const PREFACE_BYTES: usize = 24;
/// Length of a frame's header: length, type, flags, stream.
const FRAME_HEADER_BYTES: usize = 9;
/// Maximum length of a frame's payload: the default of HTTP/2, which the server does not change. h2 refuses a longer frame.
const MAX_PAYLOAD_BYTES: usize = 16 << 10;
/// Type of a HEADERS frame.
const HEADERS: u8 = 1;
/// Flags of a HEADERS frame.
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// Length of the priority in a HEADERS frame.
const PRIORITY_BYTES: usize = 5;

/// Follows the frames that a client sends, and rewrites those that begin a request. Pseudo-header fields come first in a
/// header block, so the HEADERS frame is enough; CONTINUATION frames pass unread.
#[derive(Debug)]
pub(super) struct AuthorityRewriter {
    /// Bytes that pass unread: the rest of a frame, or of the preface.
    passing: usize,
    /// The beginning of a HEADERS frame or of a frame header whose rest has not arrived: at most one frame.
    held: Vec<u8>,
    /// Bytes that were held and can be read: at most one frame and what one read from the stream gave.
    ready: Vec<u8>,
    /// Number of bytes of `ready` that have been read.
    taken: usize,
}

impl Default for AuthorityRewriter {
    fn default() -> Self {
        Self { passing: PREFACE_BYTES, held: Vec::new(), ready: Vec::new(), taken: 0 }
    }
}

impl AuthorityRewriter {
    /// Reads from `io`. As with any reader, no bytes mean the end of the stream.
    pub(super) fn poll_read<R: AsyncRead + Unpin>(
        &mut self,
        io: &mut R,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while buffer.remaining() > 0 {
            if self.give(buffer) {
                break;
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut *io).poll_read(context, buffer))?;
            let is_end = buffer.filled().len() == before;
            if is_end && self.held.is_empty() {
                break;
            }
            if is_end {
                // A frame that was cut off: h2 decides what that means.
                self.ready = std::mem::take(&mut self.held);
                continue;
            }
            let passed = self.accept(&mut buffer.filled_mut()[before..]);
            buffer.set_filled(before + passed);
            if passed > 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives bytes of `ready`, if there are any.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let rest = &self.ready[self.taken..];
        let given = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..given]);
        self.taken += given;
        if self.taken == self.ready.len() {
            (self.ready, self.taken) = (Vec::new(), 0);
        }
        given > 0
    }

    /// Takes the bytes of one read. Returns how many of them, from the first, can be passed on where they are. The others are
    /// held, or ready.
    fn accept(&mut self, bytes: &mut [u8]) -> usize {
        let mut used = 0;
        // A frame whose beginning is held: its header is completed first, since that has the length.
        while let Some(missing) = self.missing() {
            let taken = missing.min(bytes.len() - used);
            self.held.extend_from_slice(&bytes[used..used + taken]);
            used += taken;
            if taken < missing {
                return 0;
            }
        }
        if !self.held.is_empty() {
            match headers_frame(&self.held) {
                Some(_) => rewrite(&mut self.held),
                // Only the frame's header was held.
                None => self.passing = payload_length(&self.held),
            }
            self.ready = std::mem::take(&mut self.held);
        }
        let rest = &mut bytes[used..];
        let passed = self.walk(rest);
        self.held.extend_from_slice(&rest[passed..]);
        if self.ready.is_empty() {
            return passed;
        }
        self.ready.extend_from_slice(&rest[..passed]);
        0
    }

    /// How many bytes the held frame lacks until it can be passed on; `None` if nothing is held or nothing lacks.
    fn missing(&self) -> Option<usize> {
        let needed = match self.held.len() {
            0 => return None,
            length if length < FRAME_HEADER_BYTES => FRAME_HEADER_BYTES,
            length => headers_frame(&self.held).unwrap_or(length),
        };
        Some(needed - self.held.len()).filter(|missing| *missing > 0)
    }

    /// Rewrites the frames in `bytes`. Returns how many bytes there are before the first frame that is incomplete and must not
    /// be passed on yet.
    fn walk(&mut self, bytes: &mut [u8]) -> usize {
        let mut at = 0;
        loop {
            let passed = self.passing.min(bytes.len() - at);
            self.passing -= passed;
            at += passed;
            let rest = &mut bytes[at..];
            if rest.len() < FRAME_HEADER_BYTES {
                return at;
            }
            match headers_frame(rest) {
                Some(length) if rest.len() < length => return at,
                Some(length) => {
                    rewrite(&mut rest[..length]);
                    self.passing = length;
                }
                None => self.passing = FRAME_HEADER_BYTES + payload_length(rest),
            }
        }
    }
}

/// The length of the payload, by the header of a frame.
fn payload_length(frame: &[u8]) -> usize {
    frame.iter().take(3).fold(0, |length, byte| length << 8 | usize::from(*byte))
}

/// The length of a HEADERS frame, by its header, which must be complete; `None` if the frame is another one or too long.
fn headers_frame(frame: &[u8]) -> Option<usize> {
    let length = payload_length(frame);
    let is_read = frame.get(3) == Some(&HEADERS) && length <= MAX_PAYLOAD_BYTES;
    is_read.then_some(FRAME_HEADER_BYTES + length)
}

/// Rewrites a complete HEADERS frame. A malformed one is left to h2.
fn rewrite(frame: &mut [u8]) {
    let Some((header, mut payload)) = frame.split_at_mut_checked(FRAME_HEADER_BYTES) else { return };
    let flags = header[4];
    if flags & PADDED != 0 {
        let Some((padding, padded)) = payload.split_first_mut() else { return };
        let Some(length) = padded.len().checked_sub(usize::from(*padding)) else { return };
        payload = &mut padded[..length];
    }
    let before = if flags & PRIORITY == 0 { 0 } else { PRIORITY_BYTES };
    if let Some(fields) = payload.get_mut(before..) {
        block::rewrite(fields);
    }
}

#[cfg(test)]
mod tests;
