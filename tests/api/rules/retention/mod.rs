//! Data is deleted or redacted at the configured age.

mod audit_log;
mod bodies;
mod bodies_concurrent;
mod released;
mod released_concurrent;

use chrono::TimeDelta;
use inkbox_imessage::maintenance::cleanup::{self, Retention};

use crate::support::TestApp;

/// Bodies are kept for thirty days.
const BODIES: Retention =
    Retention { bodies: Some(TimeDelta::days(30)), released: None, events: None, audit: None };
/// Pairs are kept for thirty days after their last release.
const RELEASED: Retention =
    Retention { bodies: None, released: Some(TimeDelta::days(30)), events: None, audit: None };

async fn clean_up(app: &TestApp, retention: Retention) {
    cleanup::run_once(&app.parts, retention).await.unwrap();
}
