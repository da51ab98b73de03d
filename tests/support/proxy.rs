//! A proxy to PostgreSQL through which a test delays, stalls or cuts connections while calls are in progress.

use std::path::PathBuf;
use std::time::Duration;

use rand::RngExt as _;
use socket2::{SockRef, Socket};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// The state of the simulated network. The default forwards all bytes at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct NetworkState {
    /// Delay in one direction: a random part of this, or all of it if [`Self::steady`].
    pub delay: Duration,
    pub steady: bool,
    /// Forwards nothing, with connections left open.
    pub stalled: bool,
    /// The probability that a connection breaks while it forwards bytes, of which the other side gets only a part.
    pub cut_chance: f64,
    /// Closes new connections at once.
    pub refused: bool,
}

/// A proxy for a server. It stops, with its connections, when dropped.
pub struct Proxy {
    front: Front,
    state: watch::Sender<NetworkState>,
    cuts: watch::Sender<u64>,
    _connections: JoinSet<()>,
}

enum Front {
    /// A Unix socket in this folder.
    Unix(TempDir),
    /// A port of 127.0.0.1.
    Tcp(u16),
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// The address of the server.
enum Server {
    Unix(PathBuf),
    Tcp(String, u16),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Proxy {
    /// Starts a proxy on a Unix socket.
    pub fn unix(direct: &PgConnectOptions) -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(folder.path().join(socket_name(direct))).unwrap();
        Self::start(direct, Front::Unix(folder), Listener::Unix(listener))
    }

    /// Starts a proxy on a TCP port, for a server that trusts all connections. Connections that are cut are reset.
    pub async fn tcp(direct: &PgConnectOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self::start(direct, Front::Tcp(port), Listener::Tcp(listener))
    }

    fn start(direct: &PgConnectOptions, front: Front, listener: Listener) -> Self {
        let (state, cuts) = (watch::Sender::new(NetworkState::default()), watch::Sender::new(0));
        let server = Server::of(direct);
        let (seen, cut) = (state.subscribe(), cuts.subscribe());
        let mut connections = JoinSet::new();
        connections.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, socket) = listener.accept().await;
                let state = seen.clone();
                if state.borrow().refused {
                    continue;
                }
                // If the server is down, the client sees its connection closed.
                let Ok(server) = server.connect().await else { continue };
                let mut cut = cut.clone();
                cut.mark_unchanged();
                connections.spawn(async move {
                    let broken = CancellationToken::new();
                    tokio::select! {
                        () = join(client, server, &state, &broken) => return,
                        () = broken.cancelled() => {}
                        _ = cut.changed() => {}
                    }
                    if let Some(socket) = socket {
                        let _ = socket.set_linger(Some(Duration::ZERO));
                    }
                });
            }
        });
        Self { front, state, cuts, _connections: connections }
    }

    /// The options to connect through the proxy.
    pub fn options(&self, direct: &PgConnectOptions) -> PgConnectOptions {
        match &self.front {
            Front::Unix(folder) => direct.clone().socket(folder.path()),
            Front::Tcp(port) => {
                let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(*port);
                let options = options.username(direct.get_username()).ssl_mode(PgSslMode::Disable);
                options.database(direct.get_database().unwrap())
            }
        }
    }

    /// Changes the state of the network, also for existing connections.
    pub fn set(&self, state: NetworkState) {
        self.state.send_replace(state);
    }

    /// Cuts all existing connections.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

fn socket_name(direct: &PgConnectOptions) -> String {
    format!(".s.PGSQL.{}", direct.get_port())
}

impl Listener {
    /// Accepts a connection; returns the socket too if it is TCP.
    async fn accept(&self) -> (Box<dyn Stream>, Option<Socket>) {
        match self {
            Self::Unix(listener) => (Box::new(listener.accept().await.unwrap().0), None),
            Self::Tcp(listener) => {
                let (client, _) = listener.accept().await.unwrap();
                client.set_nodelay(true).unwrap();
                let socket = SockRef::from(&client).try_clone().unwrap();
                (Box::new(client), Some(socket))
            }
        }
    }
}

impl Server {
    fn of(direct: &PgConnectOptions) -> Self {
        let (host, name) = (direct.get_host(), socket_name(direct));
        let socket = direct.get_socket().map(|folder| folder.join(&name));
        match socket.or_else(|| host.starts_with('/').then(|| PathBuf::from(host).join(&name))) {
            Some(socket) => Self::Unix(socket),
            None => Self::Tcp(host.to_owned(), direct.get_port()),
        }
    }

    async fn connect(&self) -> std::io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Unix(socket) => Box::new(UnixStream::connect(socket).await?),
            Self::Tcp(host, port) => Box::new(TcpStream::connect((&**host, *port)).await?),
        })
    }
}

async fn join(
    client: Box<dyn Stream>,
    server: Box<dyn Stream>,
    state: &watch::Receiver<NetworkState>,
    broken: &CancellationToken,
) {
    let (client_read, client_write) = tokio::io::split(client);
    let (server_read, server_write) = tokio::io::split(server);
    let to_server = forward(client_read, server_write, state.clone(), broken);
    tokio::join!(to_server, forward(server_read, client_write, state.clone(), broken));
}

/// Forwards bytes in one direction until an end is closed, then closes the other end.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<NetworkState>,
    broken: &CancellationToken,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let now = *state.borrow_and_update();
        if now.steady {
            sleep(now.delay).await;
        } else if !now.delay.is_zero() {
            let delay = rand::rng().random_range(Duration::ZERO..now.delay);
            sleep(delay).await;
        }
        if state.wait_for(|now| !now.stalled).await.is_err() {
            break;
        }
        if rand::rng().random_bool(now.cut_chance) {
            let got_through = rand::rng().random_range(0..=count);
            let _ = to.write_all(&bytes[..got_through]).await;
            let _ = to.flush().await;
            broken.cancel();
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
