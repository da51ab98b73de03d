//! Pages of a tenant table, newest first.

use super::StoreError;
use crate::domain::Page;

/// Reads the page of rows that a [`PageRequest`](crate::domain::PageRequest) asks for, newest first, ties
/// broken by id. Evaluates to `Result<Page<$row>, StoreError>` inside an async block.
///
/// `$select` is the statement up to and including its conditions. Parameter `$1` is the organization; the
/// macro adds the cursor (`$2`, `$3`), the limit (`$4`) and, for lists with `offset`, the offset (`$5`),
/// which further arguments follow. Each use is a separate statement without optional conditions, so that its
/// plan is a range of one index.
macro_rules! newest_first {
    ($row:ident, $connection:expr, $organization_id:expr, $page:expr, $select:literal) => {{
        let after = $page.after();
        let rows = sqlx::query_as!(
            $row,
            $select + " AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4",
            $organization_id.as_str(),
            after.at,
            after.id,
            $page.fetch_limit(),
        );
        newest_first!(@page rows, $row, $connection, $page)
    }};
    ($row:ident, $connection:expr, $organization_id:expr, $page:expr, $select:literal, offset $(, $argument:expr)*) => {{
        let after = $page.after();
        let rows = sqlx::query_as!(
            $row,
            $select + " AND (created_at, id) < ($2, $3) ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5",
            $organization_id.as_str(),
            after.at,
            after.id,
            $page.fetch_limit(),
            $page.offset(),
            $($argument),*
        );
        newest_first!(@page rows, $row, $connection, $page)
    }};
    (@page $rows:ident, $row:ident, $connection:expr, $page:expr) => {
        $rows.fetch_all($connection).await.map_err(crate::store::StoreError::from).map(|rows| {
            let cursor = |row: &$row| crate::domain::Cursor { at: row.created_at, id: row.id };
            crate::domain::Page::from_overfetch(rows, $page.limit, cursor)
        })
    };
}

pub(super) use newest_first;

/// Converts the rows of a page.
pub(super) fn convert<R, T>(
    page: Page<R>,
    convert: impl Fn(R) -> Result<T, StoreError>,
) -> Result<Page<T>, StoreError> {
    let rows = page.rows.into_iter().map(convert).collect::<Result<_, _>>()?;
    Ok(Page { rows, next: page.next })
}
