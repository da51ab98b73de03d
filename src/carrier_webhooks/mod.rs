//! What carriers deliver over HTTP: texts, tapbacks, and news of our own messages, on an address of their own.
//!
//! A carrier's JSON is read into an [`Event`] by a pure function (`sendblue`, `bluebubbles`), whatever else stands in it;
//! `act` does with it what `RouterService` does with the same, by the same code and the same checks. 2xx is answered
//! after the commit, so that a carrier that hears nothing delivers again, which then changes nothing.
//!
//! To add a carrier: a file with its `parse` and a table of its documented bodies, a secret in [`Secrets`], a route here.

mod bluebubbles;
mod body;
mod dispatch;
mod event;
#[cfg(test)]
mod fuzz;
mod json;
mod listener;
mod reply;
mod response;
mod secret;
mod sendblue;
mod tapback_text;

pub use listener::Webhooks;
pub use secret::{Secret, Secrets};

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::post;
use serde_json::Value;
use tokio::sync::Semaphore;

use event::Event;
use response::Answer;

use crate::app::App;
use crate::domain::CarrierKind;

/// Webhooks at once; more are told to come again. As many as the database has sessions to spare for.
const IN_FLIGHT: usize = 64;
/// The header that Sendblue puts its account's secret into, as it is: it signs nothing.
const SENDBLUE_SECRET: &str = "sb-signing-secret";

/// What every webhook works with.
#[derive(Clone)]
struct Hooks {
    app: App,
    secrets: Arc<Secrets>,
    slots: Arc<Semaphore>,
}

/// The routes of the carriers that have a secret; the others' are not there.
fn routes(app: App, secrets: Secrets) -> Router {
    let secrets = Arc::new(secrets);
    let mut routes = Router::new();
    if secrets.sendblue.is_some() {
        routes = routes.route("/webhooks/sendblue", post(sendblue));
    }
    if secrets.sendblue_status.is_some() {
        routes = routes.route("/webhooks/sendblue/status", post(sendblue_status));
    }
    if secrets.bluebubbles.is_some() {
        routes = routes.route("/webhooks/bluebubbles/{line}", post(bluebubbles));
    }
    routes.with_state(Hooks { app, secrets, slots: Arc::new(Semaphore::new(IN_FLIGHT)) })
}

async fn sendblue(State(hooks): State<Hooks>, request: Request) -> Response {
    let given = request.headers().get(SENDBLUE_SECRET).map(http::HeaderValue::as_bytes);
    let admitted = Secret::admits(hooks.secrets.sendblue.as_ref(), given);
    hooks.receive(CarrierKind::Sendblue, admitted, request, sendblue::parse).await
}

/// Sendblue sends no secret with the news of one message, so the address that we give it for them has a token, which
/// proves nothing beyond that.
async fn sendblue_status(State(hooks): State<Hooks>, request: Request) -> Response {
    let token = secret::token(request.uri());
    let admitted =
        Secret::admits(hooks.secrets.sendblue_status.as_ref(), token.as_deref().map(str::as_bytes));
    hooks.receive(CarrierKind::Sendblue, admitted, request, sendblue::parse_status).await
}

/// A BlueBubbles server knows nothing but an address to post to: it has the token and the line.
async fn bluebubbles(State(hooks): State<Hooks>, Path(line): Path<String>, request: Request) -> Response {
    let token = secret::token(request.uri());
    let admitted = Secret::admits(hooks.secrets.bluebubbles.as_ref(), token.as_deref().map(str::as_bytes));
    hooks.receive(CarrierKind::BlueBubbles, admitted, request, |body| bluebubbles::parse(&line, body)).await
}

impl Hooks {
    /// Answers a webhook, and logs it: fields `webhook.carrier`, `webhook.result`, `http.status`, `duration_ms`. Never a
    /// body, an address, a number.
    async fn receive(
        &self,
        carrier: CarrierKind,
        admitted: bool,
        request: Request,
        parse: impl FnOnce(&Value) -> Event,
    ) -> Response {
        let started = Instant::now();
        let answer = if admitted { self.answer(carrier, request, parse).await } else { Answer::UNAUTHORIZED };
        let duration_ms = started.elapsed().as_secs_f64() * 1_000.0;
        tracing::info!(
            webhook.carrier = %carrier,
            webhook.result = answer.result,
            http.status = answer.status.as_u16(),
            duration_ms,
            "webhook"
        );
        answer.into()
    }

    async fn answer(
        &self,
        carrier: CarrierKind,
        request: Request,
        parse: impl FnOnce(&Value) -> Event,
    ) -> Answer {
        let Ok(slot) = self.slots.clone().try_acquire_owned() else { return Answer::OVERLOADED };
        let event = match body::read(request.into_body()).await {
            Ok(body) => match serde_json::from_slice(&body) {
                Ok(body @ Value::Object(_)) => parse(&body),
                _ => return Answer::MALFORMED,
            },
            Err(refusal) => return refusal,
        };
        let app = self.app.clone();
        // To its end, also when the carrier hangs up: what is committed is to be answered by the router line.
        let acted = self.app.run_to_completion(async move {
            let _slot = slot;
            dispatch::act(&app, carrier, event).await
        });
        acted.await.unwrap_or_else(|error| Answer::of(&error))
    }
}
