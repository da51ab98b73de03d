//! A redaction that waits for locks of the test while a message arrives.

use chrono::TimeDelta;

use super::BODIES;
use crate::messages::{messages_of, texts};
use crate::support::locks::{commit, holding, until_waiting};
use crate::support::{Human, TestApp, invariants};

#[tokio::test]
async fn the_preview_of_a_concurrent_message_is_kept() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "old").await;
    app.clock.advance(TimeDelta::days(31));
    let held = holding(
        &app,
        "SELECT id FROM conversations WHERE organization_id = 'org_a' AND id = $1 FOR UPDATE",
        &id,
    )
    .await;
    let text = tokio::spawn({
        let (human, thread) = (human.clone(), thread.clone());
        async move { human.says(&thread, "new").await }
    });
    until_waiting(&app, 1).await;
    let parts = app.parts.clone();
    let cleaning =
        tokio::spawn(async move { inkbox_imessage::maintenance::cleanup::run_once(&parts, BODIES).await });
    until_waiting(&app, 2).await;
    commit(held).await;
    text.await.unwrap();
    cleaning.await.unwrap().unwrap();
    assert_eq!(texts(&messages_of(&app.admin("org_a").await, &id).await), ["new", ""]);
    invariants::hold(&app).await;
}

#[tokio::test]
async fn a_second_cleanup_waits_for_the_batch_of_the_first() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "old").await;
    app.clock.advance(TimeDelta::days(31));
    let held = holding(
        &app,
        "SELECT id FROM conversations WHERE organization_id = 'org_a' AND id = $1 FOR UPDATE",
        &id,
    )
    .await;
    let runs = [app.parts.clone(), app.parts.clone()].map(|parts| {
        tokio::spawn(async move { inkbox_imessage::maintenance::cleanup::run_once(&parts, BODIES).await })
    });
    // One waits for the test, the other for the first.
    until_waiting(&app, 2).await;
    commit(held).await;
    for cleaning in runs {
        cleaning.await.unwrap().unwrap();
    }
    assert_eq!(texts(&messages_of(&app.admin("org_a").await, &id).await), [""]);
    invariants::hold(&app).await;
}
