//! Reads request bodies, with bounds on size and time.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::response::WebhookResponse;

/// Maximum size of a body, in bytes. A text of the maximum length of 18,996 characters takes 75 KB, or 225 KB if every
/// character is escaped.
const MAX_BYTES: usize = 256 * 1024;
/// How much of a body that is too large is read, in bytes, so that its sender receives status 413 instead of a
/// connection reset.
const MAX_DISCARDED_BYTES: usize = 4 * MAX_BYTES;
/// Maximum time to receive a body. Carriers send a few kilobytes in one piece.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the whole body.
///
/// # Errors
/// The response for a body that is too large, too slow or incomplete.
pub(super) async fn read(body: Body) -> Result<Vec<u8>, WebhookResponse> {
    timeout(READ_TIMEOUT, collect(body)).await.unwrap_or(Err(WebhookResponse::TOO_SLOW))
}

async fn collect(body: Body) -> Result<Vec<u8>, WebhookResponse> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut size = 0_usize;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| WebhookResponse::MALFORMED)?;
        size = size.saturating_add(chunk.len());
        if size <= MAX_BYTES {
            bytes.extend_from_slice(&chunk);
        } else if size > MAX_DISCARDED_BYTES {
            break;
        }
    }
    if size > MAX_BYTES { Err(WebhookResponse::TOO_LARGE) } else { Ok(bytes) }
}
