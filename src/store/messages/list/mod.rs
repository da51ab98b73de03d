//! The list of messages, newest first.

mod all;
mod page_rows;
mod read;
mod sql;
mod unread;
mod walk;

use chrono::{DateTime, Utc};

use super::columns::{MessageColumns, add_reactions};
use crate::domain::{
    ConversationId, Cursor, IdentityId, Message, OrganizationId, Page, PageRequest, TimeRange, View,
};
use crate::store::{Database, DbConnection, StoreError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageScope {
    Organization,
    Identity(IdentityId),
    Conversation(ConversationId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageFilter {
    pub view: View,
    /// `None` selects both read and unread messages.
    pub is_read: Option<bool>,
    /// The range of `created_at`.
    pub created: TimeRange,
}

/// What the statements of all lists take.
struct ListRequest<'a> {
    organization_id: &'a OrganizationId,
    scope: MessageScope,
    after: Cursor,
    /// The oldest time of a row.
    start: DateTime<Utc>,
    /// The number of rows from there to the end of the page.
    rows: i64,
    /// The number of these that are read, the last ones.
    limit: i64,
    /// The number of these that are skipped.
    offset: i64,
}

impl ListRequest<'_> {
    fn is_filled_by(&self, rows: &[MessageColumns]) -> bool {
        i64::try_from(rows.len()).is_ok_and(|count| count >= self.limit)
    }
}

/// The messages of a scope that pass the filter, newest first.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    scope: MessageScope,
    filter: MessageFilter,
    page: &PageRequest,
) -> Result<Page<Message>, StoreError> {
    let mut session = db.read(organization_id).await?;
    session
        .run("query messages::list::list", |connection| async move {
            let request = ListRequest {
                organization_id,
                scope,
                after: page.after().before(filter.created.end),
                start: filter.created.start,
                rows: page.fetch_limit() + page.offset(),
                limit: page.fetch_limit(),
                offset: page.offset(),
            };
            let rows = rows(connection, &request, filter).await?;
            let messages = rows.into_iter().map(Message::try_from).collect::<Result<Vec<_>, _>>()?;
            let mut page = Page::from_overfetch(messages, page.limit, |row| Cursor {
                at: row.created_at,
                id: row.id.uuid(),
            });
            add_reactions(connection, organization_id, &mut page.rows).await?;
            Ok(page)
        })
        .await
}

/// The rows of a page.
async fn rows(
    connection: &mut DbConnection,
    request: &ListRequest<'_>,
    filter: MessageFilter,
) -> Result<Vec<MessageColumns>, StoreError> {
    match filter.is_read {
        None => all::list(connection, request, filter.view).await,
        Some(true) if filter.view.shows(false) => read::list(connection, request).await,
        // Blocked messages are never read.
        Some(true) => Ok(Vec::new()),
        Some(false) if !filter.view.shows(false) && !filter.view.shows(true) => Ok(Vec::new()),
        Some(false) => unread::list(connection, request, filter.view).await,
    }
}
