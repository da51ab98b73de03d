//! What every unary RPC has in common: who calls, and how an error becomes a status.

use tonic::{Request, Response, Status};

use super::access_log::RequestId;
use super::status;
use crate::domain::Principal;
use crate::error::Error;

/// Answers a request with what the handler makes of it.
pub(super) async fn unary<Q, A>(
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
    answer.map(Response::new).map_err(|error| {
        let request_id = extensions.get::<RequestId>().map(RequestId::as_str).unwrap_or_default();
        status::of(&error, request_id)
    })
}
