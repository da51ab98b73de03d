use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, ReadBuf};

use super::{AuthorityRewriter, HEADERS, MAX_PAYLOAD_BYTES, PADDED, PREFACE_BYTES, PRIORITY};

/// Reads bytes in pieces of random size.
struct Pieces {
    bytes: Vec<u8>,
    at: usize,
    random: StdRng,
    largest: usize,
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let largest = self.largest.min(buffer.remaining()).min(self.bytes.len() - self.at);
        if largest > 0 {
            let length = self.random.random_range(1..=largest);
            buffer.put_slice(&self.bytes[self.at..][..length]);
            self.at += length;
        }
        Poll::Ready(Ok(()))
    }
}

/// The reader of a connection.
struct Rewritten(AuthorityRewriter, Pieces);

impl AsyncRead for Rewritten {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self(rewriter, pieces) = self.get_mut();
        let polled = rewriter.poll_read(pieces, context, buffer);
        assert!(rewriter.held.len() <= 9 + MAX_PAYLOAD_BYTES);
        assert!(rewriter.ready.len() <= 9 + MAX_PAYLOAD_BYTES + pieces.largest);
        polled
    }
}

async fn rewritten(bytes: &[u8], largest: usize, seed: u64) -> Vec<u8> {
    let pieces = Pieces { bytes: bytes.to_vec(), at: 0, random: StdRng::seed_from_u64(seed), largest };
    let mut reader = Rewritten(AuthorityRewriter::default(), pieces);
    let mut all = Vec::new();
    // Small reads as well.
    let mut buffer = vec![0; if seed.is_multiple_of(2) { 8 << 10 } else { 7 }];
    loop {
        let read = reader.read(&mut buffer).await.unwrap();
        if read == 0 {
            return all;
        }
        all.extend_from_slice(&buffer[..read]);
    }
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

/// What a client sends, and what h2 reads.
fn connection() -> [Vec<u8>; 2] {
    [b"\x83\x86\x41\x07/u.sock\x84", b"\x83\x86\x41\x07-u.sock\x84"].map(|block| {
        let block = block.as_slice();
        let padded = [&[3], block, &[0, 0, 0]].concat();
        let with_priority = [&[0, 0, 0, 0, 9], block].concat();
        let both = [&[1, 0, 0, 0, 0, 9], block, &[0]].concat();
        let large = [block, &[b'@', 1, b'x', 0x7f, 0xff, 0x7c], &[b'a'; 15_000]].concat();
        [
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            frame(4, 0, &[]),
            frame(HEADERS, 4, block),
            // These look like a HEADERS frame, and are data.
            frame(0, 0, &frame(HEADERS, 4, b"\x41\x01/")),
            frame(9, 4, b"\x41\x01/"),
            frame(HEADERS, 4 | PADDED, &padded),
            frame(HEADERS, 4 | PRIORITY, &with_priority),
            frame(0, 0, &vec![1; 40_000]),
            frame(HEADERS, 4 | PADDED | PRIORITY, &both),
            frame(HEADERS, 0, &large),
            // Malformed: more padding than payload, and no priority.
            frame(HEADERS, PADDED, b"\xff\x41\x01/"),
            frame(HEADERS, PADDED, b""),
            frame(HEADERS, PRIORITY, b"\x41\x01/"),
            // Longer than HTTP/2 allows.
            frame(HEADERS, 4, &[b"\x41\x01/".as_slice(), &[0; MAX_PAYLOAD_BYTES]].concat()),
            frame(HEADERS, 4, block),
            // Cut off.
            frame(HEADERS, 4, b"\x41\x01/")[..11].to_vec(),
        ]
        .concat()
    })
}

#[tokio::test]
async fn requests_are_rewritten_however_their_bytes_arrive() {
    let [sent, expected] = connection();
    for (seed, largest) in (0..).zip([1, 2, 9, 10, 30, 1_000, 9_000, 100_000].repeat(4)) {
        assert!(rewritten(&sent, largest, seed).await == expected, "pieces of {largest} bytes, seed {seed}");
    }
}

#[tokio::test]
async fn arbitrary_bytes_keep_their_number_and_hold_little_memory() {
    let mut random = StdRng::seed_from_u64(1);
    let [sent, _] = connection();
    for seed in 0..2_000 {
        let mut bytes = sent[..random.random_range(PREFACE_BYTES..2_000)].to_vec();
        for _ in 0..random.random_range(0..20) {
            let at = random.random_range(PREFACE_BYTES..=bytes.len() - 1);
            bytes[at] = random.random();
        }
        let whole = rewritten(&bytes, 100_000, 0).await;
        assert_eq!(whole.len(), bytes.len());
        assert!(rewritten(&bytes, 40, seed).await == whole, "seed {seed}");
    }
}
