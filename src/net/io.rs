//! The bytes of a connection, whatever carries them.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::listeners::Socket;
use super::tls::Tls;

/// Length of what an HTTP/2 client says first, in bytes (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// Whether a client has spoken HTTP/2.
#[derive(Debug, Clone, Default)]
pub(super) struct Greeted(Arc<AtomicBool>);

impl Greeted {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection's bytes.
pub(super) struct Stream {
    carrier: Carrier,
    /// Bytes that were read, as far as it matters.
    heard: usize,
    greeted: Greeted,
}

enum Carrier {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    /// Opens the stream, with TLS on TCP where there is a certificate. A Unix socket is guarded by its file's mode.
    pub(super) async fn open(socket: Socket, tls: Option<&Tls>) -> io::Result<(Self, Greeted)> {
        let carrier = match (socket, tls) {
            (Socket::Tcp(stream, _), None) => Carrier::Tcp(stream),
            (Socket::Tcp(stream, _), Some(tls)) => {
                Carrier::Tls(Box::new(tls.acceptor().accept(stream).await?))
            }
            (Socket::Unix(stream), _) => Carrier::Unix(stream),
        };
        let greeted = Greeted::default();
        Ok((Self { carrier, heard: 0, greeted: greeted.clone() }, greeted))
    }
}

/// The stream that carries the bytes, as something to poll.
macro_rules! carrier {
    ($self:ident, $carrier:ident => $poll:expr) => {
        match &mut $self.get_mut().carrier {
            Carrier::Tcp($carrier) => $poll,
            Carrier::Tls($carrier) => $poll,
            Carrier::Unix($carrier) => $poll,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = self.as_mut();
        let polled = carrier!(this, carrier => Pin::new(carrier).poll_read(context, buffer));
        if self.heard < PREFACE {
            self.heard += buffer.filled().len() - before;
            if self.heard >= PREFACE {
                self.greeted.0.store(true, Ordering::Relaxed);
            }
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        carrier!(self, carrier => Pin::new(carrier).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        carrier!(self, carrier => Pin::new(carrier).poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.carrier {
            Carrier::Tcp(stream) => stream.is_write_vectored(),
            Carrier::Tls(stream) => stream.is_write_vectored(),
            Carrier::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        carrier!(self, carrier => Pin::new(carrier).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        carrier!(self, carrier => Pin::new(carrier).poll_shutdown(context))
    }
}
