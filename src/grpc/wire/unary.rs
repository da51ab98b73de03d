//! What every unary RPC has in common: who calls, and how an error becomes a status.

use prost::Message;
use tonic::{Request, Response, Status};

use crate::domain::Principal;
use crate::error::Error;
use crate::grpc::middleware::access_log::RequestId;
use crate::grpc::middleware::limits::PackFrom;
use crate::grpc::wire::status;

/// The longest answer, in bytes: what clients take where they are not told otherwise. Measured here, since the encoder's
/// own words reach the caller without a reason.
pub(in crate::grpc) const ANSWER_LIMIT: usize = 4 << 20;

/// Answers a request with what the handler makes of it.
pub(in crate::grpc) async fn unary<Q, A: Message>(
    request: Request<Q>,
    handler: impl AsyncFnOnce(Principal, Q) -> Result<A, Error>,
) -> Result<Response<A>, Status> {
    let (_, extensions, message) = request.into_parts();
    let answer = match extensions.get::<Principal>() {
        Some(caller) => handler(caller.clone(), message).await,
        None => {
            // The authentication layer lets nothing through without a principal.
            tracing::error!("a call reached its handler without a principal");
            Err(Error::Internal)
        }
    };
    let answer = answer.and_then(|answer| {
        let size = answer.encoded_len();
        if size > ANSWER_LIMIT {
            return Err(Error::TooLarge { what: "response", limit: ANSWER_LIMIT });
        }
        let mut response = Response::new(answer);
        // Small answers are not worth packing.
        if extensions.get::<PackFrom>().is_some_and(|from| size < from.0) {
            response.disable_compression();
        }
        Ok(response)
    });
    answer.map_err(|error| {
        let request_id = extensions.get::<RequestId>().map(RequestId::as_str).unwrap_or_default();
        status::from_error(&error, request_id)
    })
}
