//! Sendblue's API: iMessage, RCS and SMS from lines that Sendblue runs.
//!
//! It has no idempotency key, cannot take a tapback back, and its 200 means "queued": what became of a message comes
//! later, as delivery news. Hence neither `service` nor `was_downgraded` of an answer is looked at here.

mod lookup;
mod responses;

use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Method, Request};
use serde::Serialize;
use url::Url;

use crate::carriers::client::api_client::Endpoint;
use crate::carriers::client::http::below;
use crate::carriers::{
    Accepted, Action, Carrier, CarrierConfigError, CarrierError, Credential, Found, OutboundMessage,
    SendblueSettings, Tapback, Thread,
};
use crate::domain::{ReactionType, SendStyle};
use responses::{Kind, judge};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// An account at Sendblue.
pub(super) struct Sendblue {
    endpoint: Endpoint,
    url: Url,
    credentials: HeaderMap,
    status_callback: Option<Credential>,
}

/// Body of `mark-read` and `send-typing-indicator`.
#[derive(Serialize)]
struct Ends<'a> {
    number: &'a str,
    from_number: &'a str,
}

/// Body of `send-message`.
#[derive(Serialize)]
struct NewMessage<'a> {
    number: &'a str,
    from_number: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_style: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_callback: Option<&'a str>,
}

/// Body of `send-reaction`.
#[derive(Serialize)]
struct NewReaction<'a> {
    from_number: &'a str,
    message_handle: &'a str,
    reaction: &'static str,
    part_index: i32,
}

impl Sendblue {
    pub(super) fn new(account: &SendblueSettings, endpoint: Endpoint) -> Result<Self, CarrierConfigError> {
        let mut credentials = HeaderMap::new();
        for (name, secret) in [("sb-api-key-id", &account.key_id), ("sb-api-secret-key", &account.secret_key)]
        {
            let mut value = HeaderValue::from_str(secret.reveal()).map_err(|_| CarrierConfigError::Header)?;
            value.set_sensitive(true);
            credentials.insert(name, value);
        }
        Ok(Self {
            endpoint,
            url: account.url.clone(),
            credentials,
            status_callback: account.status_callback.clone(),
        })
    }

    fn request(&self, method: Method, url: Url) -> Request {
        let mut request = Request::new(method, url);
        request.headers_mut().extend(self.credentials.clone());
        request.headers_mut().insert(ACCEPT, JSON);
        request
    }

    async fn post(&self, path: &str, body: &impl Serialize, kind: Kind) -> Result<Accepted, CarrierError> {
        let mut request = self.request(Method::POST, below(&self.url, &["api", path]));
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        *request.body_mut() = Some(Body::from(serde_json::to_vec(body).map_err(|_| CarrierError::REFUSED)?));
        self.endpoint.call(request, |answer| judge(answer, kind)).await
    }
}

impl Carrier for Sendblue {
    fn supports(&self, action: Action<'_>) -> bool {
        match action {
            Action::ReadReceipt | Action::Typing | Action::Message(_) => true,
            Action::Reaction(tapback) => reaction(tapback.reaction).is_some(),
            Action::ReactionRemoval(_) => false,
        }
    }

    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, CarrierError>> {
        Box::pin(async move {
            let (number, from_number) = (thread.remote_number.as_str(), thread.line_number.as_str());
            match action {
                Action::ReadReceipt => {
                    self.post("mark-read", &Ends { number, from_number }, Kind::Harmless).await
                }
                Action::Typing => {
                    self.post("send-typing-indicator", &Ends { number, from_number }, Kind::Harmless).await
                }
                Action::Message(message) => {
                    let body = NewMessage {
                        number,
                        from_number,
                        content: message.text,
                        media_url: message.media_url,
                        send_style: message.style.map(style),
                        status_callback: self.status_callback.as_ref().map(Credential::reveal),
                    };
                    self.post("send-message", &body, Kind::Message).await
                }
                Action::Reaction(Tapback { provider_message_id, reaction: kind, part_index }) => {
                    let reaction = reaction(kind).ok_or(CarrierError::Unsupported)?;
                    // A message that Sendblue never named cannot be pointed at.
                    let message_handle = provider_message_id.ok_or(CarrierError::REFUSED)?;
                    let body = NewReaction { from_number, message_handle, reaction, part_index };
                    self.post("send-reaction", &body, Kind::Reaction).await
                }
                Action::ReactionRemoval(_) => Err(CarrierError::Unsupported),
            }
        })
    }

    fn look_up<'a>(
        &'a self,
        thread: &'a Thread,
        message: OutboundMessage<'a>,
    ) -> BoxFuture<'a, Result<Vec<Found>, CarrierError>> {
        Box::pin(async move {
            let mut url = below(&self.url, &["api", "v2", "messages"]);
            url.query_pairs_mut().extend_pairs(lookup::query(thread, message));
            let request = self.request(Method::GET, url);
            self.endpoint.call(request, |answer| lookup::judge(answer, message)).await
        })
    }

    fn is_cut_off(&self) -> bool {
        self.endpoint.is_cut_off()
    }
}

const fn style(style: SendStyle) -> &'static str {
    match style {
        SendStyle::Celebration => "celebration",
        SendStyle::ShootingStar => "shooting_star",
        SendStyle::Fireworks => "fireworks",
        SendStyle::Lasers => "lasers",
        SendStyle::Love => "love",
        SendStyle::Confetti => "confetti",
        SendStyle::Balloons => "balloons",
        SendStyle::Spotlight => "spotlight",
        SendStyle::Echo => "echo",
        SendStyle::Invisible => "invisible",
        SendStyle::Gentle => "gentle",
        SendStyle::Loud => "loud",
        SendStyle::Slam => "slam",
    }
}

const fn reaction(reaction: ReactionType) -> Option<&'static str> {
    match reaction {
        ReactionType::Love => Some("love"),
        ReactionType::Like => Some("like"),
        ReactionType::Dislike => Some("dislike"),
        ReactionType::Laugh => Some("laugh"),
        ReactionType::Emphasize => Some("emphasize"),
        ReactionType::Question => Some("question"),
        ReactionType::Eyes | ReactionType::Custom => None,
    }
}
