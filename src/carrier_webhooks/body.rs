//! Reads request bodies, with bounds on size and time.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::response::WebhookResponse;

/// Size up to which a body is usual, in bytes. A text of the maximum length of 18,996 characters takes 75 KB, or 225 KB if
/// every character is escaped.
const USUAL_BYTES: usize = 256 * 1024;
/// Maximum size of a body, in bytes: a longer text is cut, and carriers repeat it in fields that are not read.
const MAX_BYTES: usize = 1024 * 1024;
/// Maximum number of larger bodies than usual at once, since each takes the memory of several. Further ones wait.
const MAX_LARGE_BODIES: usize = 4;
/// How much of a body that is too large is read, in bytes, so that its sender receives status 413 instead of a
/// connection reset.
const MAX_DISCARDED_BYTES: usize = 2 * MAX_BYTES;
/// Maximum time to receive a body. Carriers send a few kilobytes in one piece.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads bodies.
pub(super) struct BodyReader {
    large: Semaphore,
}

/// A body that was received completely.
pub(super) struct ReceivedBody<'a> {
    pub(super) bytes: Vec<u8>,
    _large: Option<SemaphorePermit<'a>>,
}

impl Default for BodyReader {
    fn default() -> Self {
        Self { large: Semaphore::new(MAX_LARGE_BODIES) }
    }
}

impl BodyReader {
    /// Reads the whole body.
    ///
    /// # Errors
    /// The response for a body that is too large, too slow or incomplete.
    pub(super) async fn read(&self, body: Body) -> Result<ReceivedBody<'_>, WebhookResponse> {
        timeout(READ_TIMEOUT, self.collect(body)).await.unwrap_or(Err(WebhookResponse::TOO_SLOW))
    }

    async fn collect(&self, body: Body) -> Result<ReceivedBody<'_>, WebhookResponse> {
        let mut chunks = body.into_data_stream();
        let (mut bytes, mut large) = (Vec::new(), None);
        let mut size = 0_usize;
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| WebhookResponse::MALFORMED)?;
            size = size.saturating_add(chunk.len());
            if size > USUAL_BYTES && large.is_none() {
                large = self.large.acquire().await.ok();
            }
            if size <= MAX_BYTES {
                bytes.extend_from_slice(&chunk);
            } else if size > MAX_DISCARDED_BYTES {
                break;
            }
        }
        if size > MAX_BYTES {
            Err(WebhookResponse::TOO_LARGE)
        } else {
            Ok(ReceivedBody { bytes, _large: large })
        }
    }
}
