use std::time::Duration;

use inkbox_imessage::carriers::{BreakerSettings, CarrierSettings};
use inkbox_imessage::domain::{CarrierKind, PhoneNumber};

use super::{
    HUMAN, MAC_LINE, SENDBLUE_LINE, app, assert_upstream, bluebubbles, mac_at, mark_read, sendblue,
    sendblue_at,
};
use crate::support::callers::Caller;
use crate::support::carrier::{CarrierStub, reply};
use crate::support::{Human, TestApp};

pub(crate) const SANDBOX_LINE: &str = "+12025550113";

/// A human with three agents of different organizations, each on a line of a different carrier.
pub(crate) struct ThreeCarriers {
    pub(crate) app: TestApp,
    pub(crate) sendblue: (CarrierStub, Caller, String),
    pub(crate) mac: (CarrierStub, Caller, String),
    pub(crate) sandbox: (Caller, String),
}

impl ThreeCarriers {
    pub(crate) async fn start(call_timeout: Duration, change: impl FnOnce(&mut CarrierSettings)) -> Self {
        let (sendblue, mac) = (CarrierStub::start().await, CarrierStub::start().await);
        let mut carriers =
            CarrierSettings { bluebubbles: mac_at(&mac.url).bluebubbles, ..sendblue_at(&sendblue.url) };
        change(&mut carriers);
        let pool = [
            (SENDBLUE_LINE, CarrierKind::Sendblue),
            (MAC_LINE, CarrierKind::BlueBubbles),
            (SANDBOX_LINE, CarrierKind::Sandbox),
        ];
        let app = app(carriers, &pool, call_timeout).await;
        let human = Human::new(&app, HUMAN).await;
        let mut by_line = std::collections::HashMap::new();
        for organization in ["org_a", "org_b", "org_c"] {
            let identity = app.identity(organization).await;
            let (thread, id) = human.converses(&identity, "hello").await;
            by_line.insert(thread.line, (app.agent(&identity).await, id));
        }
        let mut on = |line: &str| by_line.remove(line).expect("each agent has a line of its own");
        let (of_sendblue, of_mac) = (on(SENDBLUE_LINE), on(MAC_LINE));
        let sandbox = on(SANDBOX_LINE);
        Self {
            app,
            sendblue: (sendblue, of_sendblue.0, of_sendblue.1),
            mac: (mac, of_mac.0, of_mac.1),
            sandbox,
        }
    }
}

#[tokio::test]
async fn each_line_uses_its_own_carrier() {
    let three = ThreeCarriers::start(super::CALL_TIMEOUT, |_| {}).await;
    let ((sendblue, agent, id), (mac, mac_agent, mac_id)) = (&three.sendblue, &three.mac);
    sendblue.respond("mark-read", [reply(200, sendblue::READ)]);
    mac.respond("/read", [reply(200, bluebubbles::READ)]);
    mark_read(agent, id).await.unwrap();
    assert_eq!((sendblue.received().len(), mac.received().len()), (1, 0));
    mark_read(mac_agent, mac_id).await.unwrap();
    assert_eq!((sendblue.received().len(), mac.received().len()), (1, 1));
    mark_read(&three.sandbox.0, &three.sandbox.1).await.unwrap();
    assert_eq!((sendblue.received().len(), mac.received().len()), (1, 1));
}

#[tokio::test]
async fn a_carrier_that_is_down_does_not_affect_the_others() {
    let three = ThreeCarriers::start(super::CALL_TIMEOUT, |carriers| {
        carriers.breaker = BreakerSettings { min_calls: 2, pause: Duration::from_hours(1) };
    })
    .await;
    let ((sendblue, agent, id), (mac, mac_agent, mac_id)) = (&three.sendblue, &three.mac);
    sendblue.respond("mark-read", [reply(503, "")]);
    mac.respond("/read", [reply(200, bluebubbles::READ)]);
    for _ in 0..3 {
        assert!(assert_upstream(mark_read(agent, id).await).is_some());
        mark_read(mac_agent, mac_id).await.unwrap();
        mark_read(&three.sandbox.0, &three.sandbox.1).await.unwrap();
    }
    let registry = &three.app.parts.carriers;
    assert!(
        registry.breaker_is_open(CarrierKind::Sendblue)
            && !registry.breaker_is_open(CarrierKind::BlueBubbles)
    );
}

#[tokio::test]
async fn a_mac_that_is_down_does_not_affect_the_others() {
    let (up, down) = (CarrierStub::start().await, CarrierStub::start().await);
    up.respond("/read", [reply(200, bluebubbles::READ)]);
    down.respond("/read", [reply(502, "")]);
    let mut carriers = mac_at(&up.url);
    let mut other = carriers.bluebubbles[0].clone();
    other.number = PhoneNumber::parse("+12025550119").unwrap();
    other.url = down.url.parse().unwrap();
    carriers.bluebubbles.push(other);
    carriers.breaker = BreakerSettings { min_calls: 2, pause: Duration::from_hours(1) };
    let pool = [(MAC_LINE, CarrierKind::BlueBubbles), ("+12025550119", CarrierKind::BlueBubbles)];
    let app = app(carriers, &pool, super::CALL_TIMEOUT).await;
    let human = Human::new(&app, HUMAN).await;
    for _ in 0..2 {
        let identity = app.identity("org_a").await;
        let (thread, id) = human.converses(&identity, "hello").await;
        let agent = app.agent(&identity).await;
        for _ in 0..3 {
            assert_eq!(mark_read(&agent, &id).await.is_ok(), thread.line == MAC_LINE);
        }
    }
    assert_eq!((up.received().len(), down.received().len()), (3, 2), "the third call was not made");
    assert!(app.parts.carriers.breaker_is_open(CarrierKind::BlueBubbles), "one of its servers is down");
}
