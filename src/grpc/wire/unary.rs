//! What all RPCs share: reading the caller, limiting the response's size, and turning an error into a status.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use prost::Message;
use tonic::{Request, Response, Status};

use crate::admission::CallPermit;
use crate::domain::{MAX_RESPONSE_BYTES, Principal};
use crate::error::Error;
use crate::grpc::wire::extensions::{CompressionThreshold, RequestId};
use crate::grpc::wire::status;

/// Runs a handler and encodes its result. The size of the response is checked here, because an error of tonic's encoder
/// would reach the caller without a reason.
pub(in crate::grpc) async fn unary<Q, A: Message>(
    request: Request<Q>,
    handler: impl AsyncFnOnce(Principal, Q) -> Result<A, Error>,
) -> Result<Response<A>, Status> {
    let (_, extensions, request) = request.into_parts();
    let answer = match extensions.get::<Principal>() {
        Some(caller) => handler(caller.clone(), request).await,
        None => {
            // The authentication layer rejects every call that has no principal.
            tracing::error!("a call reached its handler without a principal");
            Err(Error::Internal)
        }
    };
    let answer = answer.and_then(|answer| {
        let size = answer.encoded_len();
        if size > MAX_RESPONSE_BYTES {
            return Err(Error::TooLarge { what: "response", limit: MAX_RESPONSE_BYTES });
        }
        if let Some(call) = extensions.get::<Arc<CallPermit>>() {
            // Once as it is now, and once as it is sent.
            call.add_bytes(2 * size)?;
        }
        let mut response = Response::new(answer);
        if extensions.get::<CompressionThreshold>().is_some_and(|threshold| size < threshold.0) {
            response.disable_compression();
        }
        Ok(response)
    });
    answer.map_err(|error| {
        let request_id = extensions.get::<RequestId>().map(RequestId::as_str).unwrap_or_default();
        status::from_error(&error, request_id)
    })
}

/// Runs the handler of an RPC that answers with a stream. Its messages are small, and not compressed.
pub(in crate::grpc) async fn streamed<Q, A: 'static>(
    request: Request<Q>,
    handler: impl AsyncFnOnce(Principal, Q) -> Result<BoxStream<'static, Result<A, Error>>, Error>,
) -> Result<Response<BoxStream<'static, Result<A, Status>>>, Status> {
    let (_, extensions, request) = request.into_parts();
    let request_id = extensions.get::<RequestId>().cloned();
    let to_status = move |error: Error| {
        status::from_error(&error, request_id.as_ref().map(RequestId::as_str).unwrap_or_default())
    };
    let answer = match extensions.get::<Principal>() {
        Some(caller) => handler(caller.clone(), request).await,
        None => {
            // The authentication layer rejects every call that has no principal.
            tracing::error!("a call reached its handler without a principal");
            Err(Error::Internal)
        }
    };
    let messages = answer.map_err(&to_status)?;
    let mut response = Response::new(messages.map(move |message| message.map_err(&to_status)).boxed());
    response.disable_compression();
    Ok(response)
}
