//! Assertions on the database invariants that `verify` checks.

use chrono::{DateTime, Utc};
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::verify;
use sqlx::postgres::PgConnectOptions;

use super::TestApp;

/// Asserts that the database of a service satisfies all invariants.
#[track_caller]
pub fn hold(app: &TestApp) -> impl Future<Output = ()> {
    hold_in(&app.options, app.clock.now())
}

/// The same for any database.
#[track_caller]
pub fn hold_in(options: &PgConnectOptions, now: DateTime<Utc>) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let report = verify::verify(options, now).await.unwrap();
        assert!(report.violations.is_empty(), "{caller}: {:#?}", report.violations);
        assert!(report.organizations > 0, "{caller}: nothing was checked");
    }
}
