//! Clients of HTTP/2 that do not behave.

use std::net::SocketAddr;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// A connection whose streams are used one by one.
pub struct Connection {
    requests: SendRequest<Bytes>,
    driver: JoinHandle<Result<(), h2::Error>>,
}

impl Connection {
    /// `window` is how many bytes of each response are received.
    pub async fn open(address: SocketAddr, window: u32) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        let handshake = h2::client::Builder::new().initial_window_size(window).handshake(stream);
        let (requests, connection) = handshake.await.ok()?;
        Some(Self { requests, driver: tokio::spawn(connection) })
    }

    /// Begins a call with these bytes of its body. More may follow.
    pub async fn begin(
        &self,
        path: &str,
        key: Option<&str>,
        body: Bytes,
    ) -> Option<(ResponseFuture, SendStream<Bytes>)> {
        let mut request = Request::post(format!("http://test{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let mut requests = self.requests.clone().ready().await.ok()?;
        let (response, mut stream) = requests.send_request(request.body(()).unwrap(), false).ok()?;
        stream.send_data(body, false).ok()?;
        Some((response, stream))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// The first bytes of a message of this size: its prefix and as much as is given.
pub fn beginning(size: u32, given: usize) -> Bytes {
    let mut bytes = vec![0];
    bytes.extend(size.to_be_bytes());
    bytes.resize(5 + given, 0);
    bytes.into()
}
