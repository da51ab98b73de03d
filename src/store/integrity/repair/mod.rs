//! Rebuilds derived rows from the rows that they are derived from, while the service runs. Each repair is one
//! transaction on one object. It takes the same locks as the service, in the same order, and reads everything
//! again under them: since the check, the violation may have been repaired or its rows erased.

mod conversation;
mod global_tables;
mod reaction;
mod subscriber;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Checker;
use super::checks::{Repair, Violation};
use crate::store::StoreError;

/// Repairs a violation. Returns the number of repaired rows: 0 if it is no violation any more, or cannot be
/// repaired now because another transaction holds its locks or the value that would be correct; more than 1
/// for repairs that work in batches.
///
/// # Errors
/// The database's.
pub async fn repair(
    checker: &mut Checker,
    kind: Repair,
    violation: &Violation,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let organization_id = violation.organization_id.clone();
    let id = Uuid::try_parse(&violation.id).ok();
    let line_number = violation.id.clone();
    let repaired = checker.repair(|link| {
        Box::pin(async move {
            match (kind, organization_id, id) {
                (Repair::Conversation, Some(owner), Some(id)) => {
                    conversation::rebuild(link, &owner, id).await
                }
                (Repair::Route, Some(owner), Some(id)) => {
                    global_tables::rebuild_route(link, &owner, id).await
                }
                (Repair::MissingContactHistory, Some(owner), Some(id)) => {
                    global_tables::add_contact_history(link, &owner, id).await
                }
                (Repair::Reaction, Some(owner), Some(id)) => reaction::reassign(link, &owner, id).await,
                (Repair::Subscriber, Some(owner), Some(id)) => subscriber::merge(link, &owner, id, now).await,
                (Repair::LineCount, ..) => global_tables::recount_line(link, &line_number).await,
                (Repair::OrphanedContactHistory, ..) => {
                    global_tables::remove_orphaned_contact_history(link).await
                }
                _ => Ok(0),
            }
        })
    });
    match repaired.await {
        Err(failure) if failure.is_serialization_conflict() || failure.is_lock_timeout() => {
            tracing::warn!(error = %failure, "rows are locked by another transaction; not repaired");
            Ok(0)
        }
        Err(failure) if kind == Repair::Subscriber && subscriber::met_a_concurrent_change(&failure) => {
            tracing::warn!(error = %failure, "the human has connected or written in the meantime; not repaired");
            Ok(0)
        }
        repaired => repaired,
    }
}

/// Whether the active-connection count of a line is wrong, decided under the lock that every writer of the
/// count takes. Also true if the lock could not be acquired.
///
/// # Errors
/// The database's.
pub async fn is_miscounted(checker: &mut Checker, line_number: &str) -> Result<bool, StoreError> {
    let line_number = line_number.to_owned();
    let checking = checker
        .repair(|link| Box::pin(async move { global_tables::is_miscounted(link, &line_number).await }));
    match checking.await {
        Err(failure) if failure.is_serialization_conflict() || failure.is_lock_timeout() => Ok(true),
        result => result,
    }
}
