//! Clients whose `:authority` is none: the path of a Unix socket, a list of addresses, or nothing. The bytes of these
//! requests are those of the clients that send them; Python's own client makes some as well, where it is installed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use inkbox_imessage::clock::SystemClock;
use inkbox_imessage::net::listeners::{ListenAddress, Listeners};
use inkbox_imessage::server::Server;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::support::{PATIENCE, TestApp, eventually};
use crate::transport::clients::{health, unix_channel};

/// Types of frames.
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// Size of the dynamic table of header compression.
const TABLE_BYTES: usize = 4_096;

/// A server on a Unix socket and on TCP.
struct Served {
    app: TestApp,
    path: PathBuf,
    tcp: SocketAddr,
    _folder: TempDir,
    _stop: DropGuard,
}

async fn serve() -> Served {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("u.sock");
    let addresses = [ListenAddress::Tcp("127.0.0.1:0".parse().unwrap()), ListenAddress::Unix(path.clone())];
    let listeners = Listeners::bind(&addresses).await.unwrap();
    let ListenAddress::Tcp(tcp) = listeners.addresses().unwrap()[0] else { panic!("a TCP address first") };
    let app = TestApp::start().await;
    let stop = CancellationToken::new();
    let server = Server::new(TestApp::settings(app.options.clone()), Arc::new(SystemClock)).unwrap();
    tokio::spawn(server.run(listeners, stop.clone()));
    let channel = unix_channel(path.clone());
    eventually("the service is SERVING", async || {
        (health(channel.clone()).await == Some("SERVING")).then_some(())
    })
    .await;
    Served { app, path, tcp, _folder: folder, _stop: stop.drop_guard() }
}

trait Io: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Io for T {}

/// A connection whose header blocks the test writes.
struct Client {
    io: Box<dyn Io>,
    stream: u32,
}

impl Served {
    async fn unix(&self) -> Client {
        Client::new(UnixStream::connect(&self.path).await.unwrap()).await
    }

    async fn tcp(&self) -> Client {
        Client::new(TcpStream::connect(self.tcp).await.unwrap()).await
    }
}

impl Client {
    async fn new(io: impl Io + 'static) -> Self {
        let mut client = Self { io: Box::new(io), stream: 1 };
        client.io.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
        client
    }

    /// Calls `Check` with this header block, and returns the type of the frame that answers.
    async fn call(&mut self, block: &[u8]) -> u8 {
        let mut bytes = frame(HEADERS, 4, self.stream, block);
        bytes.extend(frame(0, 1, self.stream, &[0; 5]));
        self.stream += 2;
        self.io.write_all(&bytes).await.unwrap();
        self.answer().await
    }

    async fn answer(&mut self) -> u8 {
        loop {
            let mut head = [0; 9];
            timeout(PATIENCE, self.io.read_exact(&mut head)).await.expect("a frame").unwrap();
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            self.io.read_exact(&mut payload).await.unwrap();
            let is_end = head[4] & 1 != 0;
            match head[3] {
                HEADERS if is_end => return HEADERS,
                kind @ (RST_STREAM | GOAWAY) => return kind,
                _ => {}
            }
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A string, not in the Huffman code.
fn string(text: &[u8]) -> Vec<u8> {
    let mut string = match u8::try_from(text.len()) {
        Ok(length) if length < 0x7f => vec![length],
        _ => {
            let rest = text.len() - 0x7f;
            vec![0x7f, 0x80 | u8::try_from(rest & 0x7f).unwrap(), u8::try_from(rest >> 7).unwrap()]
        }
    };
    string.extend(text);
    string
}

/// The header block of a health check, whose authority is this field. Nothing else becomes an entry of the dynamic table.
fn check(authority: &[u8]) -> Vec<u8> {
    // `:method` and `:scheme` from the static table, then `:path`, the authority, and the content type.
    let content_type = [&[0x0f, 0x10][..], &string(b"application/grpc")].concat();
    [b"\x83\x86\x04", &string(b"/grpc.health.v1.Health/Check")[..], authority, &content_type].concat()
}

#[tokio::test]
async fn a_request_whose_authority_is_a_path_or_a_list_or_empty_is_served() {
    let served = serve().await;
    let authorities: [(&str, &[u8]); 9] = [
        ("grpcio", b"@\n:authority\x0erun%2Fink.sock"),
        ("grpc-java", b"\x41\x0d/run/ink.sock"),
        (
            "grpc-swift: %2Frun%2Fink.sock, in the Huffman code",
            b"\x41\x8d\x54\x58\x6c\xb6\xa5\x45\x84\xd5\x75\x5d\x07\x27\x5f",
        ),
        ("grpc-swift: /run/ink.sock, in the Huffman code", b"\x41\x8ab\xcbj`\xd5u]\x07'_"),
        ("a list", b"@\n:authority\x17127.0.0.1:1,127.0.0.1:2"),
        ("not for the table", b"\x11\x0d/run/ink.sock"),
        ("empty", b"\x41\x00"),
        ("empty, with a literal name", b"@\n:authority\x00"),
        ("empty, not for the table", b"\x01\x00"),
    ];
    for (name, authority) in authorities {
        for mut client in [served.unix().await, served.tcp().await] {
            assert_eq!(client.call(&check(authority)).await, HEADERS, "{name}");
            assert_eq!(client.call(&check(b"\x41\x09localhost")).await, HEADERS, "after {name}");
        }
    }
}

#[tokio::test]
async fn a_frame_that_arrives_byte_by_byte_is_served() {
    let served = serve().await;
    let mut client = served.unix().await;
    let mut bytes = frame(HEADERS, 4, 1, &check(b"\x41\x0d/run/ink.sock"));
    bytes.extend(frame(0, 1, 1, &[0; 5]));
    for byte in bytes {
        client.io.write_all(&[byte]).await.unwrap();
        client.io.flush().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(client.answer().await, HEADERS);
}

/// The replaced value takes as much of the table as the client counts: neither more, with which the field would be gone too
/// early, nor less.
#[tokio::test]
async fn the_table_of_header_compression_stays_as_the_client_expects_it() {
    let served = serve().await;
    for authority in [&b"\x41\x0d/run/ink.sock"[..], b"\x41\x8ab\xcbj`\xd5u]\x07'_"] {
        // Name, value, and 32 bytes for each entry.
        let free = TABLE_BYTES - (10 + 13 + 32) - (1 + 32);
        for (filler, expected) in [(free, HEADERS), (free + 1, GOAWAY)] {
            let mut client = served.unix().await;
            assert_eq!(client.call(&check(authority)).await, HEADERS);
            let filler = [b"@\x01x", &string(&vec![b'a'; filler])[..]].concat();
            let block = [check(b"\xbe"), filler].concat();
            assert_eq!(client.call(&block).await, HEADERS);
            assert_eq!(client.call(&check(b"\xbf")).await, expected);
        }
    }
}

#[tokio::test]
async fn an_authority_that_cannot_be_replaced_fails_its_stream_only() {
    let served = serve().await;
    let mut client = served.unix().await;
    // `/\`, whose code is longer than that of any valid character; and an empty authority before a pseudo-header field.
    assert_eq!(client.call(&check(b"\x41\x84\x63\xff\xf8\x7f")).await, RST_STREAM);
    assert_eq!(client.call(b"\x41\x00\x83\x86\x84").await, RST_STREAM);
    assert_eq!(client.call(&check(b"\x41\x09localhost")).await, HEADERS);
}

/// Python's gRPC client: `python3`, or the program that `INKBOX_TEST_PYTHON` names.
#[tokio::test]
#[expect(clippy::print_stderr, reason = "says that it was not run")]
async fn the_python_client_works_over_a_unix_socket_and_with_a_list_of_addresses() {
    const SCRIPT: &str = r"
import sys, grpc
for target in sys.argv[1:]:
    with grpc.insecure_channel(target) as channel:
        check = channel.unary_unary('/grpc.health.v1.Health/Check')
        for n in range(200):
            assert check(b'', timeout=20, metadata=[('x-n', str(n) * 20)]) == b'\x08\x01'
        try:
            check(b'\x0a\x01x', timeout=20)
            sys.exit('an unknown service was found')
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND, error
";
    let python = std::env::var("INKBOX_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Command::new(&python).args(["-c", "import grpc"]).output().await;
    if !probe.is_ok_and(|output| output.status.success()) {
        eprintln!(
            "not run: {python} has no grpcio (`pip install grpcio`; INKBOX_TEST_PYTHON names another Python)"
        );
        return;
    }
    let served = serve().await;
    let targets = [
        format!("unix:{}", served.path.display()),
        format!("unix://{}", served.path.display()),
        format!("ipv4:{},{}", served.tcp, served.app.address),
        format!("{}", served.tcp),
    ];
    let mut command = Command::new(&python);
    command.args(["-c", SCRIPT]).args(&targets).kill_on_drop(true);
    let output = timeout(3 * PATIENCE, command.output()).await.expect("an end").unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
