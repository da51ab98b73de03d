//! The list of the messages on a Mac, in both directions.

use serde::Serialize;

use crate::carriers::carrier::ListRequest;

/// Body of `message/query`.
#[derive(Serialize)]
pub(super) struct Query {
    after: i64,
    sort: &'static str,
    limit: u32,
    offset: u32,
    /// What webhooks contain as well. The text of newer versions of macOS is in `attributedBody` only.
    with: [&'static str; 4],
}

impl Query {
    pub(super) fn new(page: ListRequest) -> Self {
        Self {
            after: page.since.timestamp_millis(),
            sort: "ASC",
            limit: page.limit,
            offset: page.offset,
            with: ["chat", "attachment", "handle", "attributedBody"],
        }
    }
}
