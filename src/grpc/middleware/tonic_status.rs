//! Statuses of tonic's own, which have no details.

use http::HeaderMap;

use crate::error::Error;

/// The error behind a status that tonic itself returns while it reads a request; such a status has no details. tonic
/// returns `OUT_OF_RANGE` for a request that is too large, `RESOURCE_EXHAUSTED` for one that is too large after
/// decompression, and `INTERNAL` for one that cannot be decompressed or is cut off. Statuses of this service differ: they
/// have details, and never the code `OUT_OF_RANGE`.
pub(super) fn classify_tonic_status(headers: &HeaderMap, limit: usize) -> Option<Error> {
    let code = headers.get("grpc-status")?.as_bytes();
    let is_ours = headers.contains_key("grpc-status-details-bin");
    match code {
        b"11" => Some(Error::TooLarge { what: "request", limit }),
        b"8" if !is_ours => Some(Error::TooLarge { what: "request", limit }),
        b"13" if !is_ours => Some(Error::invalid("", "malformed gRPC frame, or not compressed as declared")),
        _ => None,
    }
}
