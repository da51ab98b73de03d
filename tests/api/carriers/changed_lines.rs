use chrono::TimeDelta;
use inkbox_imessage::domain::{CarrierKind, LineRole, PhoneNumber};
use inkbox_imessage::store;

use super::{CALL_TIMEOUT, HUMAN, SENDBLUE_LINE, app, mark_read, sendblue, sendblue_at};
use crate::support::Human;
use crate::support::carrier::{CarrierStub, reply};

#[tokio::test]
async fn a_line_that_was_removed_and_added_again_uses_its_new_carrier_after_a_minute() {
    let stub = CarrierStub::start().await;
    let app = app(sendblue_at(&stub.url), &[(SENDBLUE_LINE, CarrierKind::Sandbox)], CALL_TIMEOUT).await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let human = Human::new(&app, HUMAN).await;
    let (_, id) = human.converses(&identity, "hello").await;
    mark_read(&agent, &id).await.unwrap();
    human.disconnects(&identity).await;
    store::lines::remove(&app.parts.db, &PhoneNumber::parse(SENDBLUE_LINE).unwrap()).await.unwrap().unwrap();
    app.add_line_with(SENDBLUE_LINE, LineRole::Pool, CarrierKind::Sendblue).await;
    human.converses(&identity, "hello again").await;

    app.clock.advance(TimeDelta::minutes(1));
    stub.respond("mark-read", [reply(200, sendblue::READ)]);
    mark_read(&agent, &id).await.unwrap();
    assert_eq!(stub.received().len(), 1);
}
