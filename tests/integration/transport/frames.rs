//! HTTP/2 frames written by hand, for what no well-behaved client sends.

use std::io::ErrorKind;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::PATIENCE;

/// `GOAWAY`'s code for a client that asks too much of us.
pub(crate) const ENHANCE_YOUR_CALM: u32 = 0xb;

/// Kinds of frame.
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// A connection on which frames are written.
pub(crate) struct Wire(TcpStream);

impl Wire {
    /// A connection that has spoken HTTP/2 and says nothing by itself any more.
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut wire = Self(TcpStream::connect(address).await.unwrap());
        wire.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        wire.write(&frame(4, 0, 0, &[])).await;
        wire
    }

    /// Writes. A peer that has hung up is noticed when reading.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Reads until the connection ends; gives the code of the last `GOAWAY`, if there was one.
    pub(crate) async fn last_goaway(&mut self) -> Option<u32> {
        let mut code = None;
        while let Some((kind, _, payload)) = self.next_frame().await {
            if kind == GOAWAY {
                code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        code
    }

    /// Whether the other end still answers a ping.
    pub(crate) async fn is_answered(&mut self) -> bool {
        self.write(&frame(PING, 0, 0, &[7; 8])).await;
        while let Some((kind, flags, payload)) = self.next_frame().await {
            if kind == PING && flags == 1 && payload == [7; 8] {
                return true;
            }
        }
        false
    }

    /// Kind, flags and payload.
    async fn next_frame(&mut self) -> Option<(u8, u8, Vec<u8>)> {
        let reading = async {
            let mut head = [0; 9];
            self.0.read_exact(&mut head).await?;
            let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
            self.0.read_exact(&mut payload).await?;
            Ok::<_, std::io::Error>((head[3], head[4], payload))
        };
        match timeout(PATIENCE, reading).await.expect("the connection ends") {
            Ok(frame) => Some(frame),
            Err(error) => {
                let ended = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
                assert!(ended.contains(&error.kind()), "{error}");
                None
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The head of a call: `POST http /` from the static table, without an end of the stream.
pub(crate) fn head(stream: u32) -> Vec<u8> {
    frame(1, 0x4, stream, &[0x83, 0x86, 0x84])
}

/// The client gives a call up.
pub(crate) fn reset(stream: u32) -> Vec<u8> {
    frame(3, 0, stream, &8_u32.to_be_bytes())
}

/// A mistake: a window that is made larger than windows can be, which resets the stream.
pub(crate) fn mistake(stream: u32) -> Vec<u8> {
    frame(8, 0, stream, &0x7fff_ffff_u32.to_be_bytes())
}
