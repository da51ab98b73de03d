//! Listeners on TCP addresses and Unix sockets.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tonic::transport::server::TcpConnectInfo;

/// Prefix of a Unix socket's address, as in gRPC's naming scheme.
const UNIX: &str = "unix:";
/// Mode of a Unix socket: its owner and group may connect.
const SOCKET_MODE: u32 = 0o660;
/// Idle time before TCP keepalive probes. HTTP/2 pings only start after the handshake.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// An address to listen on: `127.0.0.1:50051`, or `unix:/run/inkbox.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// Port 0 = any free port.
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX) {
            // `unix:///run/…` is another spelling of `unix:/run/…`.
            Some(path) => match path.strip_prefix("//").unwrap_or(path) {
                "" => Err(format!("{text:?} names no path")),
                path => Ok(Self::Unix(path.into())),
            },
            None => text.parse().map(Self::Tcp).map_err(|_| {
                format!("{text:?} is neither an address such as 127.0.0.1:50051 nor unix:/path")
            }),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

/// The open listeners.
#[derive(Debug)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// Opens a listener on each address.
    ///
    /// # Errors
    /// The first address that is not available, and why.
    pub async fn bind(addresses: &[ListenAddress]) -> Result<Self, (ListenAddress, io::Error)> {
        let mut listeners = Vec::new();
        for address in addresses {
            listeners.push(Listener::bind(address).await.map_err(|error| (address.clone(), error))?);
        }
        Ok(Self(listeners))
    }

    /// The addresses, with the actual port in place of port 0.
    ///
    /// # Errors
    /// If the operating system does not return the address.
    pub fn addresses(&self) -> io::Result<Vec<ListenAddress>> {
        self.0.iter().map(Listener::address).collect()
    }
}

impl IntoIterator for Listeners {
    type Item = Listener;
    type IntoIter = std::vec::IntoIter<Listener>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self(vec![Listener::Tcp(listener)])
    }
}

/// An open listener.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    /// The file is first, so that it is removed before the listener is closed. Later it could be the file of the next
    /// process.
    Unix(SocketFile, UnixListener),
}

/// An accepted connection.
pub(super) enum Socket {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Socket {
    /// Both addresses, if the socket has any.
    pub(super) fn peer(&self) -> TcpConnectInfo {
        match self {
            Self::Tcp(stream, peer) => {
                TcpConnectInfo { local_addr: stream.local_addr().ok(), remote_addr: Some(*peer) }
            }
            Self::Unix(_) => TcpConnectInfo { local_addr: None, remote_addr: None },
        }
    }
}

impl Listener {
    async fn bind(address: &ListenAddress) -> io::Result<Self> {
        match address {
            ListenAddress::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp),
            ListenAddress::Unix(path) => {
                remove_stale(path).await?;
                let listener = bind_private(path)?;
                Ok(Self::Unix(SocketFile(path.clone()), listener))
            }
        }
    }

    fn address(&self) -> io::Result<ListenAddress> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(ListenAddress::Tcp),
            Self::Unix(SocketFile(path), _) => Ok(ListenAddress::Unix(path.clone())),
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // Fails if the connection is closed already, which the first read reports.
                let _ = stream.set_nodelay(true);
                let keepalive =
                    TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE_INTERVAL);
                let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
                Ok(Socket::Tcp(stream, peer))
            }
            Self::Unix(_, listener) => listener.accept().await.map(|(stream, _)| Socket::Unix(stream)),
        }
    }
}

/// Binds the socket in a folder that nobody else can enter, and moves it to its place when its mode is set: others could
/// connect to it before, whatever the umask.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A folder that a killed process left is in nobody's way.
    let folder = parent.join(format!(".{:x}", rand::random::<u32>()));
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let socket = folder.join("s");
    let bound = UnixListener::bind(&socket).and_then(|listener| {
        fs::set_permissions(&socket, Permissions::from_mode(SOCKET_MODE))?;
        // Does not replace a file that appeared in the meantime.
        fs::hard_link(&socket, path)?;
        Ok(listener)
    });
    // What is left after a failure holds no lock and nothing secret.
    let _ = fs::remove_dir_all(&folder);
    bound
}

/// Removes the socket file of a process that was killed. A socket on which a process listens, and a file that is not a
/// socket, are kept; then the bind fails.
async fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Ok(()),
    }
}

/// The file of a Unix socket. Dropping it removes the file.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If this fails, the next start removes the file.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::ListenAddress;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for (text, written) in [
            ("127.0.0.1:50051", "127.0.0.1:50051"),
            ("[::]:0", "[::]:0"),
            ("unix:/run/inkbox.sock", "unix:/run/inkbox.sock"),
            ("unix:///run/inkbox.sock", "unix:/run/inkbox.sock"),
            ("unix:inkbox.sock", "unix:inkbox.sock"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().to_string(), written);
        }
        for bad in ["", "nonsense", "unix:", "unix://", "127.0.0.1", "/run/inkbox.sock"] {
            assert!(bad.parse::<ListenAddress>().is_err(), "{bad}");
        }
    }
}
