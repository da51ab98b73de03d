//! A wire to PostgreSQL that a test makes slow, cuts, or lets nothing through, while calls are on their way.

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

/// What becomes of what is sent. As it comes, by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// The longest that bytes travel, one way; each time a random part of it, unless [`Self::steady`].
    pub delay: Duration,
    /// Whether they always travel for as long.
    pub steady: bool,
    /// Whether nothing gets through, and nobody is told.
    pub stalled: bool,
    /// How likely it is that a wire breaks with what is sent next, of which the other side gets a beginning.
    pub cut_chance: f64,
    /// Whether new wires end at once.
    pub refused: bool,
}

/// A proxy in the place of a server. Ends, with its wires, when it is dropped.
pub struct Proxy {
    near: Near,
    weather: watch::Sender<Weather>,
    cuts: watch::Sender<u64>,
    _wires: JoinSet<()>,
}

enum Near {
    /// A socket in this folder.
    Unix(TempDir),
    /// This port of 127.0.0.1.
    Tcp(u16),
}

enum Listener {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// Where the server is.
enum Far {
    Unix(PathBuf),
    Tcp(String, u16),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Proxy {
    /// A proxy on a unix socket of its own, which works with any credentials.
    pub fn unix(direct: &PgConnectOptions) -> Self {
        let folder = tempfile::tempdir_in("/tmp").unwrap();
        let listener = UnixListener::bind(folder.path().join(socket_name(direct))).unwrap();
        Self::start(direct, Near::Unix(folder), Listener::Unix(listener))
    }

    /// A proxy on a port of its own, for a server that trusts whoever connects. What is cut here is reset.
    pub async fn tcp(direct: &PgConnectOptions) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        Self::start(direct, Near::Tcp(port), Listener::Tcp(listener))
    }

    fn start(direct: &PgConnectOptions, near: Near, listener: Listener) -> Self {
        let (weather, cuts) = (watch::Sender::new(Weather::default()), watch::Sender::new(0));
        let far = Far::of(direct);
        let (seen, cut) = (weather.subscribe(), cuts.subscribe());
        let mut wires = JoinSet::new();
        wires.spawn(async move {
            let mut wires = JoinSet::new();
            loop {
                let (near, socket) = listener.accept().await;
                let weather = seen.clone();
                if weather.borrow().refused {
                    continue;
                }
                // The server may be away: then so is this.
                let Ok(far) = far.connect().await else { continue };
                let mut cut = cut.clone();
                cut.mark_unchanged();
                wires.spawn(async move {
                    let broken = CancellationToken::new();
                    tokio::select! {
                        () = join(near, far, &weather, &broken) => return,
                        () = broken.cancelled() => {}
                        _ = cut.changed() => {}
                    }
                    if let Some(socket) = socket {
                        let _ = socket.set_linger(Some(Duration::ZERO));
                    }
                });
            }
        });
        Self { near, weather, cuts, _wires: wires }
    }

    /// How to connect through the proxy.
    pub fn options(&self, direct: &PgConnectOptions) -> PgConnectOptions {
        match &self.near {
            Near::Unix(folder) => direct.clone().socket(folder.path()),
            Near::Tcp(port) => {
                let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(*port);
                let options = options.username(direct.get_username()).ssl_mode(PgSslMode::Disable);
                options.database(direct.get_database().unwrap())
            }
        }
    }

    /// Changes the weather, for wires that are there as well.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Cuts every wire there is.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

fn socket_name(direct: &PgConnectOptions) -> String {
    format!(".s.PGSQL.{}", direct.get_port())
}

impl Listener {
    /// The next one who connects; of a TCP connection its socket as well.
    async fn accept(&self) -> (Box<dyn Stream>, Option<Socket>) {
        match self {
            Self::Unix(listener) => (Box::new(listener.accept().await.unwrap().0), None),
            Self::Tcp(listener) => {
                let (near, _) = listener.accept().await.unwrap();
                near.set_nodelay(true).unwrap();
                let socket = SockRef::from(&near).try_clone().unwrap();
                (Box::new(near), Some(socket))
            }
        }
    }
}

impl Far {
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
    near: Box<dyn Stream>,
    far: Box<dyn Stream>,
    weather: &watch::Receiver<Weather>,
    broken: &CancellationToken,
) {
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    let there = carry(near_read, far_write, weather.clone(), broken);
    tokio::join!(there, carry(far_read, near_write, weather.clone(), broken));
}

/// Carries bytes until either end is closed, and closes the other one.
async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut weather: watch::Receiver<Weather>,
    broken: &CancellationToken,
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let now = *weather.borrow_and_update();
        if now.steady {
            sleep(now.delay).await;
        } else if !now.delay.is_zero() {
            let delay = rand::rng().random_range(Duration::ZERO..now.delay);
            sleep(delay).await;
        }
        if weather.wait_for(|now| !now.stalled).await.is_err() {
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
