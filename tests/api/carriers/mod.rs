//! Sendblue and BlueBubbles, against stubs of their APIs: each request byte for byte, and the result of each response
//! for the caller of the RPC.

mod bluebubbles;
mod breaker;
mod changed_lines;
mod fairness;
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
    SendTypingIndicatorResponse, StopTypingIndicatorRequest, StopTypingIndicatorResponse,
};
use tonic::Status;
use tonic_types::ErrorDetails;

use crate::support::app::ROUTER_LINE;
use crate::support::callers::Caller;
use crate::support::carrier::CarrierStub;
use crate::support::{Human, TestApp, assert_reason, database};

pub(crate) const SENDBLUE_LINE: &str = "+12025550111";
pub(crate) const MAC_LINE: &str = "+12025550112";
pub(crate) const HUMAN: &str = "+15551230001";
pub(crate) const KEY_ID: &str = "key-id-of-ours";
pub(crate) const SECRET_KEY: &str = "secret-key-of-ours";
pub(crate) const PASSWORD: &str = "p&ss word";

/// Settings of an account at Sendblue, with this base URL.
pub(crate) fn sendblue_at(url: &str) -> CarrierSettings {
    CarrierSettings {
        sendblue: Some(SendblueSettings {
            url: url.parse().unwrap(),
            key_id: KEY_ID.to_owned().into(),
            secret_key: SECRET_KEY.to_owned().into(),
            status_callback: None,
        }),
        // Tests of other rules cause many consecutive failures.
        breaker: BreakerSettings { min_calls: 100, pause: Duration::from_hours(1) },
        ..CarrierSettings::default()
    }
}

/// Settings of a Mac for [`MAC_LINE`], with this base URL.
pub(crate) fn mac_at(url: &str) -> CarrierSettings {
    let number = PhoneNumber::parse(MAC_LINE).unwrap();
    let mac = Mac { number, url: url.parse().unwrap(), password: PASSWORD.to_owned().into() };
    CarrierSettings { sendblue: None, bluebubbles: vec![mac], ..sendblue_at(url) }
}

/// A service with these carriers, a router line, and these pool lines.
pub(crate) async fn app(
    carriers: CarrierSettings,
    pool_lines: &[(&str, CarrierKind)],
    call_timeout: Duration,
) -> TestApp {
    let app = TestApp::builder()
        .database(database::fresh().await)
        .settings(|settings| {
            settings.lines = carriers;
            settings.line_time_out = call_timeout;
            settings.sessions = 16;
        })
        .start()
        .await;
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    for (number, carrier) in pool_lines {
        app.add_line_with(number, LineRole::Pool, *carrier).await;
    }
    app
}

/// A conversation on the line of one carrier, and the stub of that carrier.
pub(crate) struct Scene {
    pub(crate) app: TestApp,
    pub(crate) carrier: CarrierStub,
    pub(crate) agent: Caller,
    pub(crate) human: Human,
    pub(crate) id: String,
}

/// Longer than a stub takes on a busy machine.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

impl Scene {
    pub(crate) async fn sendblue() -> Self {
        Self::sendblue_with(CALL_TIMEOUT, |_| {}).await
    }

    /// With changed settings.
    pub(crate) async fn sendblue_with(
        call_timeout: Duration,
        change: impl FnOnce(&mut CarrierSettings),
    ) -> Self {
        let carrier = CarrierStub::start().await;
        let mut carriers = sendblue_at(&carrier.url);
        change(&mut carriers);
        let app = app(carriers, &[(SENDBLUE_LINE, CarrierKind::Sendblue)], call_timeout).await;
        Self::on(app, carrier).await
    }

    pub(crate) async fn mac(call_timeout: Duration) -> Self {
        let carrier = CarrierStub::start().await;
        let app = app(mac_at(&carrier.url), &[(MAC_LINE, CarrierKind::BlueBubbles)], call_timeout).await;
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
        let request = SendTypingIndicatorRequest { conversation_id: self.id.clone(), ..Default::default() };
        self.agent.send_typing_indicator(request).await
    }
}

pub(crate) async fn stop_typing(scene: &Scene) -> Result<StopTypingIndicatorResponse, Status> {
    let request = StopTypingIndicatorRequest { conversation_id: scene.id.clone() };
    scene.agent.stop_typing_indicator(request).await
}

pub(crate) async fn mark_read(agent: &Caller, id: &str) -> Result<MarkConversationReadResponse, Status> {
    agent
        .mark_conversation_read(MarkConversationReadRequest {
            conversation_id: id.to_owned(),
            ..Default::default()
        })
        .await
}

/// Asserts that the carrier call failed, and that the error contains no phone number. Returns the advised retry delay.
#[track_caller]
pub(crate) fn assert_upstream<T: std::fmt::Debug>(answer: Result<T, Status>) -> Option<Duration> {
    let text = format!("{answer:?}");
    let details: ErrorDetails = assert_reason(answer, "UPSTREAM_FAILED");
    assert!(!text.contains("2025550"), "{text}");
    details.retry_info().and_then(|info| info.retry_delay)
}
