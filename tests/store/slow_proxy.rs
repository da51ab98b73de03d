//! A wire to PostgreSQL that takes its time, so that a caller can be gone while a statement is on its way.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How long bytes travel, one way.
const DELAY: Duration = Duration::from_millis(4);

/// A proxy on a unix socket of its own, which takes the place of the server's. Ends when it is dropped.
pub(crate) struct SlowProxy {
    folder: TempDir,
    _wires: JoinSet<()>,
}

impl SlowProxy {
    pub(crate) fn to(options: &PgConnectOptions) -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let name = format!(".s.PGSQL.{}", options.get_port());
        let listener = UnixListener::bind(folder.path().join(&name)).unwrap();
        let (host, port) = (options.get_host().to_owned(), options.get_port());
        let socket = options.get_socket().map(|folder| folder.join(&name));
        let socket = socket.or_else(|| host.starts_with('/').then(|| PathBuf::from(&host).join(&name)));
        let mut wires = JoinSet::new();
        wires.spawn(async move {
            let mut wires = JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                match &socket {
                    Some(socket) => wires.spawn(join(near, UnixStream::connect(socket).await.unwrap())),
                    None => wires.spawn(join(near, TcpStream::connect((&*host, port)).await.unwrap())),
                };
            }
        });
        Self { folder, _wires: wires }
    }

    /// How to connect through the proxy.
    pub(crate) fn options(&self, direct: &PgConnectOptions) -> PgConnectOptions {
        direct.clone().socket(self.folder.path())
    }
}

async fn join(near: UnixStream, far: impl AsyncRead + AsyncWrite) {
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::join!(carry(near_read, far_write), carry(far_read, near_write));
}

/// Carries bytes until either end is closed, and closes the other one.
async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        sleep(DELAY).await;
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
