use chrono::TimeDelta;
use inkbox_imessage::domain::{Actor, AuditedChange};
use inkbox_imessage::maintenance::cleanup::Retention;
use inkbox_imessage::store::audit;

use super::clean_up;
use crate::support::TestApp;
use crate::support::snapshot::numbers;

#[tokio::test]
async fn entries_of_the_audit_log_are_deleted_at_their_age_those_of_no_organization_as_well() {
    let app = TestApp::start().await;
    app.admin("org_a").await;
    let db = app.parts.db.acting(Actor::Operator("operator".to_owned()));
    let of_org = AuditedChange::of(&"org_a".into(), "api_key.create", "1", "");
    for change in [of_org, AuditedChange::global("line.add", "2", "")] {
        audit::record(&db, change).await.unwrap();
    }
    let count = "SELECT count(*) FROM audit_log";
    let month = Retention { audit: Some(TimeDelta::days(30)), ..Retention::default() };
    app.clock.advance(TimeDelta::days(29));
    clean_up(&app, month).await;
    assert_eq!(numbers(&app.pool, count).await, [2]);
    app.clock.advance(TimeDelta::days(2));
    clean_up(&app, Retention::default()).await;
    assert_eq!(numbers(&app.pool, count).await, [2], "off keeps them");
    clean_up(&app, month).await;
    assert_eq!(numbers(&app.pool, count).await, [0]);
}
