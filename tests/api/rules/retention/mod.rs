//! What is kept no longer than the settings say.

mod bodies;
mod bodies_concurrent;
mod released;
mod released_concurrent;

use chrono::TimeDelta;
use inkbox_imessage::maintenance::cleanup::{self, Retention};

use crate::support::TestApp;

/// Bodies for thirty days.
const BODIES: Retention = Retention { bodies: Some(TimeDelta::days(30)), released: None };
/// Pairs for thirty days after their last release.
const RELEASED: Retention = Retention { bodies: None, released: Some(TimeDelta::days(30)) };

async fn sweep(app: &TestApp, retention: Retention) {
    cleanup::run_once(&app.parts, retention).await.unwrap();
}
