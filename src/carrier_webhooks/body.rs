//! Reading bodies, with a bound on their size and on the time they take.

use std::time::Duration;

use axum::body::Body;
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::response::Answer;

/// The largest body: a text of 18,996 characters takes 75 KB at most, or 225 KB where every character is escaped.
const LARGEST: usize = 256 * 1024;
/// How much of a body that is too large is read on, so that its sender hears why instead of a reset connection.
const READ_ON: usize = 4 * LARGEST;
/// How long a body may take: carriers send a few kilobytes at once.
const LONGEST: Duration = Duration::from_secs(10);

/// The whole body, or the answer that says why not.
pub(super) async fn read(body: Body) -> Result<Vec<u8>, Answer> {
    timeout(LONGEST, collect(body)).await.unwrap_or(Err(Answer::TOO_SLOW))
}

async fn collect(body: Body) -> Result<Vec<u8>, Answer> {
    let mut pieces = body.into_data_stream();
    let mut whole = Vec::new();
    let mut size = 0_usize;
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| Answer::MALFORMED)?;
        size = size.saturating_add(piece.len());
        if size <= LARGEST {
            whole.extend_from_slice(&piece);
        } else if size > READ_ON {
            break;
        }
    }
    if size > LARGEST { Err(Answer::TOO_LARGE) } else { Ok(whole) }
}
