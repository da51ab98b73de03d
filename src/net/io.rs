//! The byte stream of a connection: TCP, TLS or a Unix socket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use super::authority::{AuthorityRewriter, PREFACE_BYTES};
use super::listeners::Socket;
use super::tls::Tls;

/// Whether the client has sent as many bytes as the HTTP/2 preface has. Shared with the stream. hyper checks the bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct PrefaceSeen(Arc<AtomicBool>);

impl PrefaceSeen {
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The byte stream of an open connection.
pub(super) struct Stream {
    io: Io,
    authority: AuthorityRewriter,
    /// Number of bytes read, not counted any further than the preface.
    bytes_read: usize,
    preface_seen: PrefaceSeen,
}

enum Io {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Stream {
    /// Performs the TLS handshake on TCP if `tls` is given. Unix sockets never use TLS: the mode of the file protects them.
    pub(super) async fn open(socket: Socket, tls: Option<&Tls>) -> io::Result<(Self, PrefaceSeen)> {
        let io = match (socket, tls) {
            (Socket::Tcp(stream, _), None) => Io::Tcp(stream),
            (Socket::Tcp(stream, _), Some(tls)) => Io::Tls(Box::new(tls.acceptor().accept(stream).await?)),
            (Socket::Unix(stream), _) => Io::Unix(stream),
        };
        let preface_seen = PrefaceSeen::default();
        let authority = AuthorityRewriter::default();
        Ok((Self { io, authority, bytes_read: 0, preface_seen: preface_seen.clone() }, preface_seen))
    }
}

/// Polls the stream of whichever kind.
macro_rules! poll_io {
    ($self:ident, $io:ident => $poll:expr) => {
        match &mut $self.get_mut().io {
            Io::Tcp($io) => $poll,
            Io::Tls($io) => $poll,
            Io::Unix($io) => $poll,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Self { io, authority, bytes_read, preface_seen } = self.get_mut();
        let polled = match io {
            Io::Tcp(io) => authority.poll_read(io, context, buffer),
            Io::Tls(io) => authority.poll_read(io, context, buffer),
            Io::Unix(io) => authority.poll_read(io, context, buffer),
        };
        if *bytes_read < PREFACE_BYTES {
            *bytes_read += buffer.filled().len() - before;
            if *bytes_read >= PREFACE_BYTES {
                preface_seen.0.store(true, Ordering::Relaxed);
            }
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        poll_io!(self, io => Pin::new(io).poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        poll_io!(self, io => Pin::new(io).poll_write_vectored(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Tcp(stream) => stream.is_write_vectored(),
            Io::Tls(stream) => stream.is_write_vectored(),
            Io::Unix(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_io!(self, io => Pin::new(io).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        poll_io!(self, io => Pin::new(io).poll_shutdown(context))
    }
}
