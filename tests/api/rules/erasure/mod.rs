//! Erasing one human from one organization while the service runs.

mod concurrent;
mod everything;

use std::sync::Arc;

use inkbox_imessage::clock::Clock;
use inkbox_imessage::maintenance::erase::{self, Erased, Subject};

use crate::support::{Human, TestApp};

pub(crate) async fn erase(app: &TestApp, organization: &str, human: &Human, keep_rules: bool) -> Erased {
    let clock: Arc<dyn Clock> = app.clock.clone();
    let subject = Subject {
        organization_id: organization.into(),
        remote_number: human.number.clone().into(),
        keep_rules,
    };
    erase::erase(&app.parts.db, &clock, &subject).await.unwrap()
}
