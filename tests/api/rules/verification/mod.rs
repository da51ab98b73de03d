//! `verify`: it names what is broken and nothing else, mends what it says, and is not mistaken about a database in use.

mod breaches;
mod repair_concurrent;
mod scene;
mod table;
mod under_load;

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::verify::{self, Report};
use sqlx::postgres::PgConnectOptions;

use crate::support::TestApp;

async fn verify(app: &TestApp, options: &PgConnectOptions) -> Report {
    verify::verify(options, app.clock.now()).await.unwrap()
}

/// What is broken, in alphabetical order.
fn names(report: &Report) -> Vec<&'static str> {
    let mut names: Vec<_> = report.broken.iter().map(|broken| broken.invariant).collect();
    names.sort_unstable();
    names
}
