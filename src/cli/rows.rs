//! What several commands do with rows of an organization.

use std::time::Duration;

use tokio::time::Instant;

use super::error::CliError;
use crate::domain::{Cursor, OrganizationId, Page, PageRequest, Start};
use crate::store::connections::{self, SendsOf};
use crate::store::{self, Database, StoreError};

/// Rows that are read at once.
const PAGE_ROWS: u32 = 200;
/// How long a command waits for messages on their way that its change forbids. Longer than a send with the default
/// settings takes; the change is in force all the same.
const MAX_WAIT_FOR_SENDS: Duration = Duration::from_secs(30);

/// # Errors
/// The organization does not exist.
pub(super) async fn check_organization(db: &Database, id: &OrganizationId) -> Result<(), CliError> {
    if store::organizations::exists(db, id).await? {
        Ok(())
    } else {
        Err(CliError::Failed(format!("organization {id} does not exist")))
    }
}

/// All rows of a list, page by page.
pub(super) async fn all_rows<T>(
    read: impl AsyncFn(PageRequest) -> Result<Page<T>, StoreError>,
) -> Result<Vec<T>, CliError> {
    let (mut rows, mut after) = (Vec::new(), Cursor::START);
    loop {
        let page = read(PageRequest { limit: PAGE_ROWS, start: Start::After(after) }).await?;
        rows.extend(page.rows);
        match page.next {
            Some(next) => after = next,
            None => return Ok(rows),
        }
    }
}

/// Waits until none of these messages is on its way to a phone, like the API after the same change.
pub(super) async fn until_sent(
    db: &Database,
    organization_id: &OrganizationId,
    sends: SendsOf<'_>,
) -> Result<(), CliError> {
    let deadline = Instant::now() + MAX_WAIT_FOR_SENDS;
    Ok(connections::wait_for_sends(db, organization_id, sends, deadline).await?)
}
