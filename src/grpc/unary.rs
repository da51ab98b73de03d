//! What every unary RPC has in common: who calls, and how an error becomes a status.

use prost::Message;
use tonic::{Request, Response, Status};

use super::access_log::RequestId;
use super::limits::PackFrom;
use super::status;
use crate::domain::Principal;
use crate::error::Error;

/// Answers a request with what the handler makes of it.
pub(super) async fn unary<Q, A: Message>(
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
    let answer = answer.map(|answer| {
        // Small answers are not worth packing.
        let pack = extensions.get::<PackFrom>().is_none_or(|from| answer.encoded_len() >= from.0);
        let mut response = Response::new(answer);
        if !pack {
            response.disable_compression();
        }
        response
    });
    answer.map_err(|error| {
        let request_id = extensions.get::<RequestId>().map(RequestId::as_str).unwrap_or_default();
        status::of(&error, request_id)
    })
}
