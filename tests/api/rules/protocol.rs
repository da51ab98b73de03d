//! The gRPC protocol where clients differ from the generated one: content types, unknown methods, compressions.

use http::StatusCode;
use inkbox_imessage::proto::WhoAmIRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::http2::{EMPTY_MESSAGE, call, post};
use crate::support::{PATIENCE, TestApp, assert_reason};

const WHO_AM_I: &str = "/inkbox.imessage.v1.ApiKeyService/WhoAmI";
const CHECK: &str = "/grpc.health.v1.Health/Check";

#[tokio::test]
async fn a_content_type_that_is_not_grpc_is_refused_with_415_before_the_key_is_looked_at() {
    let app = TestApp::start().await;
    let key = app.admin("org_a").await.secret.unwrap();
    for content_type in [
        "application/json",
        "application/grpc-web",
        "application/grpc-web+proto",
        "application/grpc+json",
        "",
    ] {
        for (path, key) in [(WHO_AM_I, &*key), (WHO_AM_I, "garbage"), (CHECK, ""), ("/none/None", "")] {
            let headers = [("content-type", content_type), ("x-api-key", key)];
            let answer = post(&app, path, &headers, &EMPTY_MESSAGE).await;
            assert_eq!(answer.http_status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type} {path}");
            assert_reason(answer.error(), "UNSUPPORTED_MEDIA_TYPE");
            assert!(answer.headers.contains_key("x-request-id"));
            assert!(answer.body.is_empty() && answer.trailers.is_empty());
        }
    }
}

#[tokio::test]
async fn grpc_with_protobuf_is_served_in_each_spelling_of_its_content_type() {
    let app = TestApp::start().await;
    let key = app.admin("org_a").await.secret.unwrap();
    for content_type in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8"] {
        let headers = [("content-type", content_type), ("x-api-key", &*key)];
        let answer = post(&app, WHO_AM_I, &headers, &EMPTY_MESSAGE).await;
        assert_eq!(answer.http_status, StatusCode::OK);
        assert_eq!(answer.trailers["grpc-status"], "0", "{content_type}");
    }
}

#[tokio::test]
async fn an_unknown_method_or_service_is_unimplemented_with_a_reason() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    for path in
        ["/inkbox.imessage.v1.ApiKeyService/None", "/inkbox.imessage.v1.NoService/WhoAmI", "/a", "/a/b/c"]
    {
        let answer = call(&app, path, admin.secret.as_deref().unwrap(), &EMPTY_MESSAGE).await;
        assert_eq!(answer.http_status, StatusCode::OK);
        let error = answer.error();
        assert_eq!(error.as_ref().unwrap_err().message(), "the server has no such service or method");
        assert_reason(error, "UNIMPLEMENTED");
    }
    for path in ["/grpc.health.v1.Health/None", "/grpc.reflection.v1alpha.ServerReflection/None"] {
        assert_reason(call(&app, path, "", &EMPTY_MESSAGE).await.error(), "UNIMPLEMENTED");
    }
    let stranger = app.stranger();
    assert_reason(stranger.raw("/inkbox.imessage.v1.NoService/WhoAmI", Vec::new()).await, "API_KEY_INVALID");
}

#[tokio::test]
async fn a_compression_that_is_not_read_is_unimplemented_with_a_reason_and_those_that_are() {
    let app = TestApp::start().await;
    let key = app.admin("org_a").await.secret.unwrap();
    for (path, key) in [(WHO_AM_I, &*key), (CHECK, "")] {
        let headers =
            [("content-type", "application/grpc"), ("x-api-key", key), ("grpc-encoding", "deflate")];
        let answer = post(&app, path, &headers, &[1, 0, 0, 0, 2, 3, 0]).await;
        assert_reason(answer.error(), "UNIMPLEMENTED");
        let accepted = answer.headers["grpc-accept-encoding"].to_str().unwrap();
        assert!(accepted.ends_with("identity"), "{accepted}");
        assert_eq!(accepted.contains("gzip"), path == WHO_AM_I);
    }
}

/// RFC 9113 asks for the end of the stream only; h2 ends the connection. docs/errors.md says so.
#[tokio::test]
async fn an_upper_case_header_name_ends_its_connection_and_the_next_one_is_served() {
    let app = TestApp::start().await;
    // The response is a HEADERS frame, and the end of the connection a GOAWAY frame.
    for (name, last) in [(b'x', 1), (b'X', 7)] {
        let mut stream = TcpStream::connect(app.address).await.unwrap();
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        // `POST http /` from the static table, and a literal header.
        bytes.extend(b"\0\0\x08\x01\x05\0\0\0\x01\x83\x86\x84\0\x01");
        bytes.extend([name, 1, b'y']);
        stream.write_all(&bytes).await.unwrap();
        let mut head = [0; 9];
        let payload = loop {
            timeout(PATIENCE, stream.read_exact(&mut head)).await.expect("a frame").unwrap();
            let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
            stream.read_exact(&mut payload).await.unwrap();
            if matches!(head[3], 1 | 7) {
                break payload;
            }
        };
        assert_eq!(head[3], last, "{:?}", char::from(name));
        if head[3] == 7 {
            assert_eq!(payload[4..], [0, 0, 0, 1], "GOAWAY with PROTOCOL_ERROR");
        }
    }
    app.admin("org_a").await.who_am_i(WhoAmIRequest {}).await.unwrap();
}
