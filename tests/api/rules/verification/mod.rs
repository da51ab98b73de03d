//! `verify` reports exactly the violated invariants, repairs the repairable ones and reports no false
//! violation while the database is in use.

mod names;
mod numbers;
mod repair_concurrent;
mod scene;
mod table;
mod under_load;
mod violations;

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::verify::{self, Report};
use sqlx::postgres::PgConnectOptions;

use crate::support::TestApp;

async fn verify(app: &TestApp, options: &PgConnectOptions) -> Report {
    verify::verify(options, app.clock.now()).await.unwrap()
}

/// Names of the violated invariants, sorted.
fn names(report: &Report) -> Vec<&'static str> {
    let mut names: Vec<_> = report.violations.iter().map(|violated| violated.invariant).collect();
    names.sort_unstable();
    names
}
