//! The list of conversations, newest message in the view first.

use std::cmp::Reverse;

use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;

use super::list_queries::{PageScope, PageStart, push_row, rows};
use crate::domain::{
    ConversationSummary, Cursor, IdentityId, OrganizationId, Page, PageRequest, TimeRange, View,
};
use crate::store::pool::batch::{BatchQuery, Outputs};
use crate::store::{Database, DbConnection, StoreError};

/// The conversations of an organization that have a message in the view and were created in the range; of one identity, if
/// one is named.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    created: TimeRange,
    page: &PageRequest,
) -> Result<Page<ConversationSummary>, StoreError> {
    let scope = PageScope {
        organization_id: organization_id.clone(),
        view,
        created,
        of_identity: identity_id.is_some(),
        rows: page.fetch_limit(),
        offset: page.offset(),
    };
    let start = PageStart { after: page.after(), identity_id };
    let rows = db.load::<ConversationPageBatch>(scope, start).await?;
    Ok(Page::from_overfetch(rows, page.limit, |row| Cursor {
        at: row.latest.at,
        id: row.conversation.id.uuid(),
    }))
}

pub(super) struct ConversationPageBatch;

impl BatchQuery for ConversationPageBatch {
    type Scope = PageScope;
    type Key = PageStart;
    type Output = Vec<ConversationSummary>;

    const SPAN: &'static str = "query conversations::list::list";
    /// A page has up to 201 rows, so that more pages would make the statement slower than its callers may wait.
    const MAX_BATCH: usize = 8;
    /// The rows of one batch are decoded while the other batch is read.
    const WORKERS: usize = 2;

    fn reads_for(scope: &PageScope) -> Option<&OrganizationId> {
        Some(&scope.organization_id)
    }

    fn run<'a>(
        connection: &'a mut DbConnection,
        scope: &'a PageScope,
        starts: &'a [PageStart],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(read_pages(connection, scope, starts))
    }
}

async fn read_pages(
    connection: &mut DbConnection,
    scope: &PageScope,
    starts: &[PageStart],
) -> Result<Outputs<ConversationPageBatch>, StoreError> {
    let mut pages: Outputs<ConversationPageBatch> = Vec::new();
    pages.resize_with(starts.len(), || Ok(Vec::new()));
    let max_rows = usize::try_from(scope.rows).unwrap_or_default();
    let mut rows = rows(connection, scope, starts);
    while let Some(row) = rows.try_next().await? {
        push_row(row, &mut pages, max_rows)?;
    }
    // PostgreSQL does not guarantee the order of rows across the pages of one statement.
    for page in pages.iter_mut().flatten() {
        page.sort_by_key(|row| Reverse((row.latest.at, row.conversation.id.uuid())));
    }
    Ok(pages)
}
