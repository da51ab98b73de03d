//! The routes: authentication, reading of the body, and the log record of each webhook.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::body::BodyReader;
use super::decode::decode;
use super::dispatch::dispatch;
use super::event::Event;
use super::response::WebhookResponse;
use super::secret::{self, Secret, Secrets};
use super::{bluebubbles, sendblue};
use crate::app::App;
use crate::domain::CarrierKind;

/// Maximum number of webhooks in progress; further ones get status 503. Leaves database sessions to API calls.
const MAX_IN_FLIGHT: usize = 64;
/// Maximum number of webhooks about messages that are not stored yet. They have places of their own, so that texts of
/// humans never wait for them.
const MAX_WAITING: usize = 32;
/// The header in which Sendblue sends the account's secret verbatim. Sendblue does not sign webhooks.
const SENDBLUE_SECRET_HEADER: &str = "sb-signing-secret";

#[derive(Clone)]
struct WebhookState {
    app: App,
    secrets: Arc<Secrets>,
    in_flight: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    bodies: Arc<BodyReader>,
}

/// The routes of the carriers that have a secret.
pub(super) fn routes(app: App, secrets: Secrets) -> Router {
    let mut routes = Router::new();
    if secrets.sendblue.is_some() {
        routes = routes.route("/webhooks/sendblue", post(sendblue_account));
    }
    if secrets.sendblue_status.is_some() {
        routes = routes.route("/webhooks/sendblue/status", post(sendblue_status));
    }
    if secrets.bluebubbles.is_some() {
        routes = routes.route("/webhooks/bluebubbles/{line}", post(bluebubbles_server));
    }
    let in_flight = Arc::new(Semaphore::new(MAX_IN_FLIGHT));
    let waiting = Arc::new(Semaphore::new(MAX_WAITING));
    let bodies = Arc::default();
    routes.with_state(WebhookState { app, secrets: Arc::new(secrets), in_flight, waiting, bodies })
}

async fn sendblue_account(State(state): State<WebhookState>, request: Request) -> Response {
    let presented = request.headers().get(SENDBLUE_SECRET_HEADER).map(http::HeaderValue::as_bytes);
    let is_authentic = Secret::verify(state.secrets.sendblue.as_ref(), presented);
    state.receive(CarrierKind::Sendblue, is_authentic, request, sendblue::parse).await
}

/// Sendblue sends no secret with the status of a single message. So the URL that is registered for it contains a token,
/// which authorizes status updates only.
async fn sendblue_status(State(state): State<WebhookState>, request: Request) -> Response {
    let is_authentic = has_token(&request, state.secrets.sendblue_status.as_ref());
    state.receive(CarrierKind::Sendblue, is_authentic, request, sendblue::parse_status).await
}

/// The only setting of a BlueBubbles server is a URL. It contains the line and its token.
async fn bluebubbles_server(
    State(state): State<WebhookState>,
    Path(line): Path<String>,
    request: Request,
) -> Response {
    let secret = state.secrets.bluebubbles.as_ref();
    let of_line = secret.and_then(|secret| secret.of_line(&line));
    // Until the next release the secret itself is a token for every line.
    let is_shared = has_token(&request, secret);
    if is_shared {
        tracing::warn!(
            "a BlueBubbles server posts with the shared secret: register the URL that `line urls` prints"
        );
    }
    let is_authentic = has_token(&request, of_line.as_ref()) || is_shared;
    let parse = |body: &Value| bluebubbles::parse(&line, body);
    state.receive(CarrierKind::BlueBubbles, is_authentic, request, parse).await
}

fn has_token(request: &Request, expected: Option<&Secret>) -> bool {
    let token = secret::token(request.uri());
    Secret::verify(expected, token.as_deref().map(str::as_bytes))
}

impl WebhookState {
    /// Processes a webhook and logs the fields `webhook.carrier`, `webhook.result`, `http.status` and `duration_ms`, but
    /// never a body, a URL or a phone number.
    async fn receive(
        &self,
        carrier: CarrierKind,
        is_authentic: bool,
        request: Request,
        parse: impl FnOnce(&Value) -> Event,
    ) -> Response {
        let started = Instant::now();
        let response = if is_authentic {
            self.process(carrier, request, parse).await
        } else {
            WebhookResponse::UNAUTHORIZED
        };
        let duration_ms = started.elapsed().as_secs_f64() * 1_000.0;
        tracing::info!(
            webhook.carrier = %carrier,
            webhook.result = response.result,
            http.status = response.status.as_u16(),
            duration_ms,
            "webhook"
        );
        response.into()
    }

    async fn process(
        &self,
        carrier: CarrierKind,
        request: Request,
        parse: impl FnOnce(&Value) -> Event,
    ) -> WebhookResponse {
        let Ok(permit) = self.in_flight.clone().try_acquire_owned() else {
            return WebhookResponse::OVERLOADED;
        };
        let event = match self.bodies.read(request.into_body()).await {
            Ok(body) => match decode(&body.bytes) {
                Some(body) => parse(&body),
                None => return WebhookResponse::MALFORMED,
            },
            Err(response) => return response,
        };
        // Without a place to wait, the message is looked for once.
        let waiting = event.may_wait().then(|| self.waiting.clone().try_acquire_owned().ok()).flatten();
        let may_wait = waiting.is_some();
        let permit = waiting.unwrap_or(permit);
        let app = self.app.clone();
        // Runs to completion even if the carrier closes the connection: once a command is committed, the router line has
        // to reply to it.
        let dispatched = self.app.run_to_completion(async move {
            let _permit = permit;
            dispatch(&app, carrier, event, may_wait).await
        });
        dispatched.await.unwrap_or_else(|error| WebhookResponse::from_error(&error))
    }
}
