//! Where the service listens: TCP addresses and Unix sockets.

use std::fmt;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tonic::transport::server::TcpConnectInfo;

/// How the address of a Unix socket begins, as in gRPC's own names.
const UNIX: &str = "unix:";
/// Who may connect to a Unix socket: its owner and group.
const SOCKET_MODE: u32 = 0o660;
/// When the system asks a silent TCP peer whether it is there. HTTP/2 asks too, but not before it is spoken.
const TCP_KEEPALIVE: Duration = Duration::from_mins(1);
const TCP_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// An address to listen on: `127.0.0.1:50051`, or `unix:/run/inkbox.sock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address of this machine and a port; port 0 = a free one.
    Tcp(SocketAddr),
    /// A path.
    Unix(PathBuf),
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix(UNIX) {
            // `unix:///run/…` is the other spelling.
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

/// Listeners that are open.
#[derive(Debug)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// Opens a listener on each address.
    ///
    /// # Errors
    /// The first address that cannot be had, and why.
    pub async fn bind(addresses: &[ListenAddress]) -> Result<Self, (ListenAddress, io::Error)> {
        let mut listeners = Vec::new();
        for address in addresses {
            listeners.push(Listener::bind(address).await.map_err(|error| (address.clone(), error))?);
        }
        Ok(Self(listeners))
    }

    /// Where they listen, with the port that was free.
    ///
    /// # Errors
    /// Where the system does not say.
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

/// One listener that is open.
#[derive(Debug)]
pub enum Listener {
    /// On an address.
    Tcp(TcpListener),
    /// On a path. The file goes before the listener does, so that it is never the next process's.
    Unix(SocketFile, UnixListener),
}

/// A connection that came in.
pub(super) enum Socket {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Socket {
    /// The two ends, where they have addresses.
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
                let listener = UnixListener::bind(path)?;
                let file = SocketFile(path.clone());
                fs::set_permissions(path, Permissions::from_mode(SOCKET_MODE))?;
                Ok(Self::Unix(file, listener))
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
                // A connection that is gone already says so at its first read.
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

/// Removes the socket of a process that was killed. One that a process listens on stays, and so does anything that is no
/// socket: then the address is in use.
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

/// The file of a Unix socket, removed with its listener.
#[derive(Debug)]
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Left behind, the next start removes it.
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
