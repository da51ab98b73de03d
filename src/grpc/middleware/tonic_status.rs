//! Statuses of tonic's own, which have no details.

use http::{HeaderMap, Response};
use tonic::body::Body;

use crate::error::Error;
use crate::grpc::wire::status;

/// The compressions that the server reads, in the response to a request with another one (gRPC over HTTP/2,
/// "Message-Encoding").
const ACCEPTED_ENCODINGS: &str = "grpc-accept-encoding";

/// Replaces a status that tonic itself returns by one with details. `limit` is that of the request, in bytes.
pub(super) fn with_details(response: Response<Body>, limit: usize, request_id: &str) -> Response<Body> {
    let Some(error) = classify(response.headers(), limit) else { return response };
    let mut detailed = status::from_error(&error, request_id).into_http();
    if let Some(accepted) = response.headers().get(ACCEPTED_ENCODINGS) {
        detailed.headers_mut().insert(ACCEPTED_ENCODINGS, accepted.clone());
    }
    detailed
}

/// The error behind a status that tonic itself returns, for a method that does not exist or while it reads a request; such a
/// status has no details. tonic returns `OUT_OF_RANGE` for a request that is too large, `RESOURCE_EXHAUSTED` for one that is
/// too large after decompression, and `INTERNAL` for one that cannot be decompressed or is cut off. Statuses of this service
/// differ: they have details.
fn classify(headers: &HeaderMap, limit: usize) -> Option<Error> {
    let code = headers.get("grpc-status")?.as_bytes();
    if headers.contains_key("grpc-status-details-bin") {
        return None;
    }
    match code {
        b"8" | b"11" => Some(Error::TooLarge { what: "request", limit }),
        b"12" if headers.contains_key(ACCEPTED_ENCODINGS) => {
            Some(Error::Unimplemented("this compression of requests is not supported"))
        }
        b"12" => Some(Error::Unimplemented("the server has no such service or method")),
        b"13" => Some(Error::invalid("", "malformed gRPC frame, or not compressed as declared")),
        _ => None,
    }
}
