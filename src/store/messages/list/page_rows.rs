//! Collects the rows of a page without keeping more than a response may have.

use std::pin::pin;

use futures_util::{Stream, TryStreamExt as _};

use crate::domain::MAX_RESPONSE_BYTES;
use crate::error::Error;
use crate::store::StoreError;

/// Collects rows, and keeps no more of them than a response may have: a page of 200 of the longest texts would take 15 MiB
/// of each session, only to be rejected. The other rows are read all the same, so that the connection can be used again.
///
/// # Errors
/// `TooLarge` if the response would be too large, even without the row that only tells whether there is another page.
pub(super) async fn rows_of_page<T>(
    rows: impl Stream<Item = Result<T, sqlx::Error>>,
    size_of: impl Fn(&T) -> usize,
) -> Result<Vec<T>, StoreError> {
    let mut rows = pin!(rows);
    let (mut kept, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.try_next().await? {
        if bytes > MAX_RESPONSE_BYTES {
            kept.clear();
        } else {
            bytes += size_of(&row);
            kept.push(row);
        }
    }
    if kept.is_empty() && bytes > 0 {
        return Err(Error::TooLarge { what: "response", limit: MAX_RESPONSE_BYTES }.into());
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use futures_util::stream::iter;

    use super::{MAX_RESPONSE_BYTES, rows_of_page};
    use crate::error::Error;
    use crate::store::StoreError;

    #[tokio::test]
    async fn a_page_that_is_too_large_is_refused_and_its_last_row_may_be_of_any_size() {
        for (sizes, is_accepted) in [
            (vec![], true),
            (vec![0, 0], true),
            (vec![MAX_RESPONSE_BYTES, 1], true),
            (vec![1, MAX_RESPONSE_BYTES, 1], false),
            (vec![MAX_RESPONSE_BYTES + 1, 1, 1], false),
        ] {
            let rows = iter(sizes.clone()).map(Ok);
            let page = rows_of_page(rows, |size| *size).await;
            match page {
                Ok(page) => assert!(is_accepted && page == sizes, "{sizes:?}"),
                Err(StoreError::Refused(Error::TooLarge { .. })) => assert!(!is_accepted, "{sizes:?}"),
                Err(error) => panic!("{error}"),
            }
        }
    }
}
