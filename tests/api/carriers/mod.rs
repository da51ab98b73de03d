//! Carriers that reach phones, against stand-ins of their APIs: what we ask, byte for byte, and what each answer comes
//! to for the caller.

mod bluebubbles;
mod breaker;
mod load;
mod privacy;
mod reconciliation;
mod sendblue;
mod side_by_side;
mod start;

use std::time::Duration;

use inkbox_imessage::carriers::{BreakerSettings, CarrierSettings, Mac, SendblueSettings};
use inkbox_imessage::domain::{CarrierKind, LineRole, PhoneNumber};
use inkbox_imessage::proto::{
    MarkConversationReadRequest, MarkConversationReadResponse, SendTypingIndicatorRequest,
    SendTypingIndicatorResponse,
};
use tonic::Status;
use tonic_types::ErrorDetails;

use crate::support::app::ROUTER_LINE;
use crate::support::callers::Caller;
use crate::support::carrier::CarrierStub;
use crate::support::{Human, TestApp, assert_reason, database};

/// The line at Sendblue, the one on a Mac, and the number of every human.
pub(crate) const SENDBLUE_LINE: &str = "+12025550111";
pub(crate) const MAC_LINE: &str = "+12025550112";
pub(crate) const HUMAN: &str = "+15551230001";
pub(crate) const KEY_ID: &str = "key-id-of-ours";
pub(crate) const SECRET_KEY: &str = "secret-key-of-ours";
pub(crate) const PASSWORD: &str = "p&ss word";

/// An account at a Sendblue that is at this address.
pub(crate) fn sendblue_at(url: &str) -> CarrierSettings {
    CarrierSettings {
        sendblue: Some(SendblueSettings {
            url: url.parse().unwrap(),
            key_id: KEY_ID.to_owned().into(),
            secret_key: SECRET_KEY.to_owned().into(),
            status_callback: None,
        }),
        // Tests of other rules have many faults in a row.
        breaker: BreakerSettings { faults: 100, pause: Duration::from_hours(1) },
        ..CarrierSettings::default()
    }
}

/// A Mac at this address, for the line on a Mac.
pub(crate) fn mac_at(url: &str) -> CarrierSettings {
    let number = PhoneNumber::parse(MAC_LINE).unwrap();
    let mac = Mac { number, url: url.parse().unwrap(), password: PASSWORD.to_owned().into() };
    CarrierSettings { sendblue: None, bluebubbles: vec![mac], ..sendblue_at(url) }
}

/// A service with these carriers, a router line, and these pool lines.
pub(crate) async fn app(lines: CarrierSettings, pool: &[(&str, CarrierKind)], time_out: Duration) -> TestApp {
    let app = TestApp::on(database::fresh().await, |settings| {
        settings.lines = lines;
        settings.line_time_out = time_out;
        settings.sessions = 16;
    })
    .await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    for (number, carrier) in pool {
        app.add_line_with(number, LineRole::Pool, *carrier).await;
    }
    app
}

/// A conversation on one carrier's line, and the stand-in of that carrier.
pub(crate) struct Scene {
    pub(crate) app: TestApp,
    pub(crate) carrier: CarrierStub,
    pub(crate) agent: Caller,
    pub(crate) human: Human,
    pub(crate) id: String,
}

/// Longer than a stand-in takes on a busy machine.
const TIME_OUT: Duration = Duration::from_secs(5);

impl Scene {
    /// On Sendblue.
    pub(crate) async fn sendblue() -> Self {
        Self::sendblue_with(TIME_OUT, |_| {}).await
    }

    /// On Sendblue, with other settings.
    pub(crate) async fn sendblue_with(time_out: Duration, change: impl FnOnce(&mut CarrierSettings)) -> Self {
        let carrier = CarrierStub::start().await;
        let mut lines = sendblue_at(&carrier.url);
        change(&mut lines);
        let app = app(lines, &[(SENDBLUE_LINE, CarrierKind::Sendblue)], time_out).await;
        Self::on(app, carrier).await
    }

    /// On a Mac.
    pub(crate) async fn mac(time_out: Duration) -> Self {
        let carrier = CarrierStub::start().await;
        let app = app(mac_at(&carrier.url), &[(MAC_LINE, CarrierKind::BlueBubbles)], time_out).await;
        Self::on(app, carrier).await
    }

    async fn on(app: TestApp, carrier: CarrierStub) -> Self {
        let identity = app.identity("org_a").await;
        let human = Human::new(&app, HUMAN).await;
        let (_, id) = human.converses(&identity, "hello").await;
        let agent = app.agent(&identity).await;
        Self { app, carrier, agent, human, id }
    }

    pub(crate) async fn mark_read(&self) -> Result<MarkConversationReadResponse, Status> {
        mark_read(&self.agent, &self.id).await
    }

    pub(crate) async fn typing(&self) -> Result<SendTypingIndicatorResponse, Status> {
        let request = SendTypingIndicatorRequest { conversation_id: self.id.clone() };
        self.agent.send_typing_indicator(request).await
    }
}

pub(crate) async fn mark_read(agent: &Caller, id: &str) -> Result<MarkConversationReadResponse, Status> {
    agent.mark_conversation_read(MarkConversationReadRequest { conversation_id: id.to_owned() }).await
}

/// Asserts that the line failed, without a word of its number; gives after how long trying again can help.
#[track_caller]
pub(crate) fn assert_upstream<T: std::fmt::Debug>(answer: Result<T, Status>) -> Option<Duration> {
    let shown = format!("{answer:?}");
    let details: ErrorDetails = assert_reason(answer, "UPSTREAM_FAILED");
    assert!(!shown.contains("2025550"), "{shown}");
    details.retry_info().and_then(|info| info.retry_delay)
}
