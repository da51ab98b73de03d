//! Making rows agree again, from those that say what is right, while the service goes on. Each mend is a transaction of
//! its own on one thing, takes the locks that the service takes for it, in the same order, and looks at everything
//! anew once it has them: what was broken when it was seen may have been mended or erased since.

mod conversation;
mod global_tables;

use uuid::Uuid;

use super::Checker;
use super::checks::{Breach, Mend};
use crate::store::Failure;

/// Mends a breach, and tells how many that were: 0 where it is none any more, or cannot be mended now, since someone else
/// holds its rows or has what would be right. Several where they are mended together.
///
/// # Errors
/// The database's.
pub async fn mend(checker: &mut Checker, mend: Mend, breach: &Breach) -> Result<u64, Failure> {
    let owner = breach.organization_id.clone();
    let id = Uuid::try_parse(&breach.id).ok();
    let line_number = breach.id.clone();
    let done = checker.change(|link| {
        Box::pin(async move {
            match (mend, owner, id) {
                (Mend::Conversation, Some(owner), Some(id)) => conversation::rebuild(link, &owner, id).await,
                (Mend::Route, Some(owner), Some(id)) => global_tables::route(link, &owner, id).await,
                (Mend::Remembered, Some(owner), Some(id)) => global_tables::remember(link, &owner, id).await,
                (Mend::Line, ..) => global_tables::count(link, &line_number).await,
                (Mend::Forgotten, ..) => global_tables::forget(link).await,
                _ => Ok(0),
            }
        })
    });
    match done.await {
        Err(failure) if failure.lost_to_another() || failure.was_kept_waiting() => {
            tracing::warn!(error = %failure, "someone else is at it: not mended");
            Ok(0)
        }
        done => done,
    }
}

/// Whether a line's count is wrong beyond doubt: looked at under the lock that everyone takes who changes it. True also
/// where that could not be had.
///
/// # Errors
/// The database's.
pub async fn is_miscounted(checker: &mut Checker, line_number: &str) -> Result<bool, Failure> {
    let line_number = line_number.to_owned();
    let looking =
        checker.change(|link| Box::pin(async move { global_tables::is_miscounted(link, &line_number).await }));
    match looking.await {
        Err(failure) if failure.lost_to_another() || failure.was_kept_waiting() => Ok(true),
        looked => looked,
    }
}
