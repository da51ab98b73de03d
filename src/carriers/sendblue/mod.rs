//! Sendblue's API: iMessage, RCS and SMS from lines that Sendblue runs.
//!
//! The API has no idempotency key and cannot remove a tapback. Status 200 means "queued"; the result of a message follows
//! as a delivery update. Therefore `service` and `was_downgraded` of a response are ignored here.

mod list;
mod lookup;
mod responses;

use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Method, Request};
use serde::Serialize;
use url::Url;

use super::Thread;
use super::carrier::{
    Accepted, Action, Carrier, ListRequest, ListedPage, LookupMatch, OutboundMessage, Tapback,
};
use super::client::api_client::{ApiClient, consumer};
use super::client::assessment::page_of_records;
use super::client::call_class::CallClass;
use super::client::http::{HttpResponse, url_below};
use super::error::CarrierError;
use super::settings::{CarrierConfigError, Credential, SendblueSettings};
use crate::admission::Consumer;
use crate::domain::{PhoneNumber, ReactionType, SendStyle};
use responses::{RequestKind, assess};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The client of one account.
pub(super) struct Sendblue {
    client: ApiClient,
    url: Url,
    credentials: HeaderMap,
    status_callback: Option<Credential>,
}

/// A bubble is shown for 60 seconds, unless a request names another time.
const TYPING_RENEWAL: Duration = Duration::from_secs(40);

/// Body of `mark-read` and `send-typing-indicator`.
#[derive(Serialize)]
struct Participants<'a> {
    number: &'a str,
    from_number: &'a str,
    /// Of the typing indicator: `start` if it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    reply_to: Option<ReplyTo<'a>>,
}

/// The message that a message replies to.
#[derive(Serialize)]
struct ReplyTo<'a> {
    message_handle: &'a str,
    part_index: i32,
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
    pub(super) fn new(account: &SendblueSettings, client: ApiClient) -> Result<Self, CarrierConfigError> {
        let mut credentials = HeaderMap::new();
        for (name, secret) in [("sb-api-key-id", &account.key_id), ("sb-api-secret-key", &account.secret_key)]
        {
            let mut value = HeaderValue::from_str(secret.reveal()).map_err(|_| CarrierConfigError::Header)?;
            value.set_sensitive(true);
            credentials.insert(name, value);
        }
        Ok(Self {
            client,
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

    async fn post(
        &self,
        (thread, class): (&Thread, CallClass),
        path: &str,
        body: &impl Serialize,
        kind: RequestKind,
    ) -> Result<Accepted, CarrierError> {
        let mut request = self.request(Method::POST, url_below(&self.url, &["api", path]));
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        *request.body_mut() = Some(Body::from(serde_json::to_vec(body).map_err(|_| CarrierError::REJECTED)?));
        self.client.call(consumer(thread), class, request, |response| assess(response, kind)).await
    }
}

impl Carrier for Sendblue {
    fn supports(&self, action: Action<'_>) -> bool {
        match action {
            Action::ReadReceipt | Action::Typing | Action::TypingStop | Action::Message(_) => true,
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
            let call = (thread, CallClass::from(action));
            match action {
                Action::ReadReceipt => {
                    let body = Participants { number, from_number, state: None };
                    self.post(call, "mark-read", &body, RequestKind::Idempotent).await
                }
                Action::Typing | Action::TypingStop => {
                    let state = matches!(action, Action::TypingStop).then_some("stop");
                    let body = Participants { number, from_number, state };
                    self.post(call, "send-typing-indicator", &body, RequestKind::Idempotent).await
                }
                Action::Message(message) => {
                    let body = NewMessage {
                        number,
                        from_number,
                        content: message.text,
                        media_url: message.media_url,
                        send_style: message.style.map(style),
                        status_callback: self.status_callback.as_ref().map(Credential::reveal),
                        reply_to: message
                            .reply_to
                            .map(|message_handle| ReplyTo { message_handle, part_index: 0 }),
                    };
                    self.post(call, "send-message", &body, RequestKind::Message).await
                }
                Action::Reaction(Tapback { provider_message_id, reaction: kind, part_index }) => {
                    let reaction = reaction(kind).ok_or(CarrierError::Unsupported)?;
                    // Without Sendblue's id, the message cannot be referenced.
                    let message_handle = provider_message_id.ok_or(CarrierError::REJECTED)?;
                    let body = NewReaction { from_number, message_handle, reaction, part_index };
                    self.post(call, "send-reaction", &body, RequestKind::Reaction).await
                }
                Action::ReactionRemoval(_) => Err(CarrierError::Unsupported),
            }
        })
    }

    fn lookup<'a>(
        &'a self,
        thread: &'a Thread,
        message: OutboundMessage<'a>,
    ) -> BoxFuture<'a, Result<Vec<LookupMatch>, CarrierError>> {
        Box::pin(async move {
            let mut url = url_below(&self.url, &["api", "v2", "messages"]);
            url.query_pairs_mut().extend_pairs(lookup::query(thread, message));
            let request = self.request(Method::GET, url);
            let assess = |response: &HttpResponse| lookup::assess(response, message);
            self.client.call(consumer(thread), CallClass::Lookup, request, assess).await
        })
    }

    fn list<'a>(
        &'a self,
        line: &'a PhoneNumber,
        page: ListRequest,
    ) -> BoxFuture<'a, Result<ListedPage, CarrierError>> {
        Box::pin(async move {
            let mut url = url_below(&self.url, &["api", "v2", "messages"]);
            url.query_pairs_mut().extend_pairs(list::query(line, page));
            let request = self.request(Method::GET, url);
            self.client.call(Consumer::Background, CallClass::Lookup, request, page_of_records).await
        })
    }

    fn typing_renewal(&self) -> Duration {
        TYPING_RENEWAL
    }

    fn breaker_is_open(&self) -> bool {
        self.client.breaker_is_open()
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
