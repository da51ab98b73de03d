//! HTTP/2 requests with any headers, and responses with all of theirs: what a gRPC client hides.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, StatusCode};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Status;

use super::{PATIENCE, TestApp};

/// A gRPC frame with an empty message.
pub const EMPTY_MESSAGE: [u8; 5] = [0; 5];

/// A complete response.
#[derive(Debug)]
pub struct Answer {
    pub http_status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Empty if the response consists of headers only.
    pub trailers: HeaderMap,
}

impl Answer {
    /// The error in a response that consists of headers only.
    #[track_caller]
    pub fn error(&self) -> Result<(), Status> {
        Err(Status::from_header_map(&self.headers).expect("a status in the headers"))
    }
}

/// Sends a complete request on a new connection. A header is absent if its value is empty.
pub async fn post(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let stream = TcpStream::connect(app.address).await.unwrap();
    let (requests, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let mut request = Request::post(format!("http://test{path}")).header("te", "trailers");
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    let exchange = async {
        let mut requests = requests.ready().await.unwrap();
        let (response, mut stream) = requests.send_request(request.body(()).unwrap(), false).unwrap();
        stream.send_data(Bytes::copy_from_slice(body), true).unwrap();
        let (parts, mut stream) = response.await.unwrap().into_parts();
        let mut body = BytesMut::new();
        while let Some(data) = stream.data().await {
            body.extend_from_slice(&data.unwrap());
        }
        let trailers = stream.trailers().await.unwrap().unwrap_or_default();
        Answer { http_status: parts.status, headers: parts.headers, body: body.freeze(), trailers }
    };
    timeout(PATIENCE, exchange).await.expect("a response")
}

/// The same as gRPC clients do it, with an API key unless it is empty.
pub async fn call(app: &TestApp, path: &str, key: &str, body: &[u8]) -> Answer {
    post(app, path, &[("content-type", "application/grpc"), ("x-api-key", key)], body).await
}
