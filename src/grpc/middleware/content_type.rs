//! The content type of requests. tonic does not look at it: a request with JSON would be answered as if it were gRPC.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use tonic::body::Body;

use crate::error::Error;
use crate::grpc::wire::status;

/// gRPC, with protobuf as its default and only encoding. gRPC-Web is not gRPC.
const SERVED: [&str; 2] = ["application/grpc", "application/grpc+proto"];

/// Whether the content type is one that the services read.
pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media_type = value.split(';').next().unwrap_or_default().trim_end();
    SERVED.iter().any(|served| media_type.eq_ignore_ascii_case(served))
}

/// HTTP status 415, so that no HTTP client takes the response for a success (gRPC over HTTP/2, "Requests"). It also has a
/// gRPC status, for gRPC clients with an encoding that is not served.
pub(super) fn unsupported(request_id: &str) -> Response<Body> {
    let mut response = status::from_error(&Error::UnsupportedMediaType, request_id).into_http();
    *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    response
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue};

    use super::is_grpc;

    #[test]
    fn only_grpc_with_protobuf_is_grpc() {
        let is_grpc = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, value)]))
        };
        for served in
            ["application/grpc", "application/grpc+proto", "Application/gRPC", "application/grpc ;a=b"]
        {
            assert!(is_grpc(served.as_bytes()), "{served}");
        }
        for other in [
            "",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text",
            "application/grpc+json",
            "application/json",
            "application/proto",
            "text/plain",
            "application/grp",
        ] {
            assert!(!is_grpc(other.as_bytes()), "{other}");
        }
        assert!(!is_grpc(b"application/grpc\xff"));
        assert!(!super::is_grpc(&HeaderMap::new()));
    }
}
