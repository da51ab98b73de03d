//! The list of conversations, newest message in the view first.

use std::cmp::Reverse;

use futures_util::TryStreamExt as _;
use futures_util::future::BoxFuture;

use super::page_rows::{Row, rows};
use crate::domain::{ConversationSummary, Cursor, IdentityId, OrganizationId, Page, PageRequest, View};
use crate::store::gathered::{Answers, Shared};
use crate::store::session::traced;
use crate::store::{Database, DbConnection, StoreError};

/// The conversations of an organization, of one identity where one is named, that have a message in the view.
pub async fn list(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    page: &PageRequest,
) -> Result<Page<ConversationSummary>, StoreError> {
    let pages = Pages {
        organization_id: organization_id.clone(),
        view,
        of_identity: identity_id.is_some(),
        rows: page.fetch_limit(),
        offset: page.offset(),
    };
    let start = Start { after: page.after(), identity_id };
    let rows = if db.has_standby() {
        // Boxed, as it would be the greater part of this future, which is moved some times before it runs.
        Box::pin(async {
            let mut session = db.read(organization_id).await?;
            session
                .run("query conversations::list::list", |link| async { one_page(link, &pages, start).await })
                .await
        })
        .await?
    } else {
        let asking = db.shared.pages.ask(db, pages, start);
        traced("query conversations::list::list", asking).await?
    };
    Ok(Page::from_overfetch(rows, page.limit, |row| Cursor {
        at: row.latest.at,
        id: row.conversation.id.uuid(),
    }))
}

async fn one_page(
    link: &mut DbConnection,
    pages: &Pages,
    start: Start,
) -> Result<Vec<ConversationSummary>, StoreError> {
    read(link, pages, &[start]).await?.into_iter().next().unwrap_or_else(|| Ok(Vec::new()))
}

/// What pages have in common that are read in one statement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::store) struct Pages {
    pub(super) organization_id: OrganizationId,
    pub(super) view: View,
    pub(super) of_identity: bool,
    pub(super) rows: i64,
    pub(super) offset: i64,
}

/// Where a page starts, and of which identity it is where all of them are of one.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Start {
    pub(super) after: Cursor,
    pub(super) identity_id: Option<IdentityId>,
}

/// Pages of conversations.
pub(in crate::store) struct PageOfConversations;

impl Shared for PageOfConversations {
    type Group = Pages;
    type Item = Start;
    type Answer = Vec<ConversationSummary>;

    /// A page has up to 201 rows: so many of them take as long as a statement may keep its callers.
    const MOST: usize = 8;
    /// The rows of one are made into conversations while the other is read.
    const LANES: usize = 2;

    fn run<'a>(
        link: &'a mut DbConnection,
        pages: &'a Pages,
        starts: &'a [Start],
    ) -> BoxFuture<'a, Result<Answers<Self>, StoreError>> {
        Box::pin(read(link, pages, starts))
    }
}

async fn read(
    link: &mut DbConnection,
    pages: &Pages,
    starts: &[Start],
) -> Result<Answers<PageOfConversations>, StoreError> {
    let mut read: Answers<PageOfConversations> = Vec::new();
    read.resize_with(starts.len(), || Ok(Vec::new()));
    let most = usize::try_from(pages.rows).unwrap_or_default();
    let mut rows = rows(link, pages, starts);
    while let Some(row) = rows.try_next().await? {
        put(row, &mut read, most);
    }
    // PostgreSQL promises no order for the pages of a statement together.
    for page in read.iter_mut().flatten() {
        page.sort_by_key(|row| Reverse((row.latest.at, row.conversation.id.uuid())));
    }
    Ok(read)
}

/// Puts a row to its page, which gets room for `most` with its first.
fn put(row: Row, pages: &mut Answers<PageOfConversations>, most: usize) {
    let number = row.page.map_or(0, |page| usize::try_from(page - 1).unwrap_or(usize::MAX));
    let Some(page) = pages.get_mut(number) else { return };
    match (ConversationSummary::try_from(row), &mut *page) {
        (Ok(row), Ok(rows)) => {
            if rows.is_empty() {
                rows.reserve_exact(most);
            }
            rows.push(row);
        }
        (Ok(_), Err(_)) => {}
        (Err(failure), _) => *page = Err(failure),
    }
}
