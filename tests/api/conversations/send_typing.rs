use inkbox_imessage::proto::{DeliveryKind, SendTypingIndicatorRequest};
use sqlx::postgres::PgPool;

use super::deliveries;
use crate::support::{Human, TestApp, assert_reason};

/// Every row that a conversation is made of, as text, with what PostgreSQL changes at every write.
async fn all_rows(pool: &PgPool) -> Vec<String> {
    let rows = sqlx::query_scalar(
        "SELECT t.ctid::text || t.xmin::text || t::text FROM conversations t
         UNION ALL SELECT t.ctid::text || t.xmin::text || t::text FROM connections t
         UNION ALL SELECT t.ctid::text || t.xmin::text || t::text FROM messages t
         UNION ALL SELECT t.ctid::text || t.xmin::text || t::text FROM identities t
         ORDER BY 1",
    );
    rows.fetch_all(pool).await.unwrap()
}

fn typing(id: &str) -> SendTypingIndicatorRequest {
    SendTypingIndicatorRequest { conversation_id: id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn every_call_reaches_the_phone_and_changes_no_row() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let admin = app.admin("org_a").await;
    let before = all_rows(&app.pool).await;
    assert_eq!(before.len(), 4, "{before:?}");

    for (caller, bubbles) in [(app.agent(&identity).await, 1), (admin.clone(), 2)] {
        caller.send_typing_indicator(typing(&id)).await.unwrap();
        let shown = deliveries(&admin, &id).await;
        assert_eq!(shown.len(), bubbles);
        assert!(
            shown.iter().all(|shown| shown.kind() == DeliveryKind::Typing
                && !shown.failed
                && shown.remote_number == human.number),
            "{shown:?}"
        );
    }
    assert_eq!(all_rows(&app.pool).await, before);
}

#[tokio::test]
async fn a_call_that_the_line_fails_changes_no_row_either() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15005550001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let before = all_rows(&app.pool).await;

    let agent = app.agent(&identity).await;
    assert_reason(agent.send_typing_indicator(typing(&id)).await, "UPSTREAM_FAILED");
    assert_eq!(all_rows(&app.pool).await, before);
}
