//! BlueBubbles: a server on a Mac of the operator, which controls the Messages app there. One Mac serves one line.
//!
//! Every feature except plain text needs the server's Private API, so it is required. A typing bubble is never stopped
//! explicitly: the server's DELETE starts it again, and the message that follows ends it.

mod list;
mod lookup;
mod responses;

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request};
use serde::Serialize;

use super::Thread;
use super::carrier::{
    Accepted, Action, Carrier, ListRequest, ListedPage, LookupMatch, OutboundMessage, Tapback,
};
use super::client::api_client::{ApiClient, consumer};
use super::client::assessment::{Assessment, page_of_records};
use super::client::call_class::CallClass;
use super::client::http::{HttpResponse, url_below};
use super::error::CarrierError;
use super::settings::Mac;
use crate::admission::Consumer;
use crate::domain::{PhoneNumber, ReactionType, SendStyle};
use responses::{RequestKind, assess};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The Messages app ends a bubble after about ten seconds
/// (<https://github.com/NousResearch/hermes-agent/issues/31534>).
const TYPING_RENEWAL: Duration = Duration::from_secs(8);

/// The clients of all servers, by line.
pub(super) struct BlueBubbles {
    servers: HashMap<PhoneNumber, Server>,
}

struct Server {
    mac: Mac,
    client: ApiClient,
}

/// Body of `message/text`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewMessage<'a> {
    chat_guid: &'a str,
    temp_guid: &'a str,
    message: &'a str,
    method: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect_id: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    selected_message_guid: Option<&'a str>,
}

/// Body of `message/react`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NewReaction<'a> {
    chat_guid: &'a str,
    selected_message_guid: &'a str,
    reaction: &'a str,
    part_index: i32,
}

impl BlueBubbles {
    pub(super) fn new(macs: impl IntoIterator<Item = (Mac, ApiClient)>) -> Self {
        let servers = macs.into_iter().map(|(mac, client)| (mac.number.clone(), Server { mac, client }));
        Self { servers: servers.collect() }
    }

    fn server(&self, line: &PhoneNumber) -> Result<&Server, CarrierError> {
        self.servers.get(line).ok_or_else(|| {
            tracing::error!(
                "the carrier of a line is bluebubbles, but INKBOX_BLUEBUBBLES_SERVERS has no server for it"
            );
            CarrierError::REJECTED
        })
    }
}

impl Server {
    async fn post<T>(
        &self,
        (consumer, class): (Consumer, CallClass),
        path: &[&str],
        body: Option<Vec<u8>>,
        assess: impl FnOnce(&HttpResponse) -> Assessment<T>,
    ) -> Result<T, CarrierError> {
        let mut url = url_below(&self.mac.url, &[&["api", "v1"], path].concat());
        url.query_pairs_mut().append_pair("password", self.mac.password.reveal());
        let mut request = Request::new(Method::POST, url);
        request.headers_mut().insert(ACCEPT, JSON);
        if let Some(body) = body {
            request.headers_mut().insert(CONTENT_TYPE, JSON);
            *request.body_mut() = Some(Body::from(body));
        }
        self.client.call(consumer, class, request, assess).await
    }

    async fn react(
        &self,
        thread: &Thread,
        tapback: Tapback<'_>,
        prefix: &str,
    ) -> Result<Accepted, CarrierError> {
        let name = reaction(tapback.reaction).ok_or(CarrierError::Unsupported)?;
        let body = NewReaction {
            chat_guid: &chat_guid(thread),
            // Without the server's id, the message cannot be referenced.
            selected_message_guid: tapback.provider_message_id.ok_or(CarrierError::REJECTED)?,
            reaction: &format!("{prefix}{name}"),
            part_index: tapback.part_index,
        };
        let assess = |response: &HttpResponse| assess(response, RequestKind::Reaction);
        self.post((consumer(thread), CallClass::Send), &["message", "react"], Some(json(&body)?), assess)
            .await
    }
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, CarrierError> {
    serde_json::to_vec(body).map_err(|_| CarrierError::REJECTED)
}

/// The id of the human's chat in the Messages app: the one in which the newest text arrived, since a Mac may have only
/// that one. Ids are matched as a whole, and their first part is the service (`iMessage`, `SMS`), or `any` from macOS 26.
///
/// Without a text of a webhook, the id is guessed. That concerns texts from before the id was stored, until the human's
/// next one, and gateways that deliver texts by `RouterService`. `iMessage` is what these calls have always named, so a
/// Mac on which they work continues to work; macOS 15 and older have no chat named `any`, and the server's helper does not
/// translate it (bluebubbles-helper, `getChat`).
fn chat_guid(thread: &Thread) -> String {
    thread.chat.clone().unwrap_or_else(|| format!("iMessage;-;{}", thread.remote_number.as_str()))
}

impl Carrier for BlueBubbles {
    fn supports(&self, action: Action<'_>) -> bool {
        match action {
            Action::ReadReceipt | Action::Typing => true,
            Action::TypingStop => false,
            // The server accepts files only as uploads. Downloading a file from an address that an agent chose would
            // allow agents to send requests into the internal network (server-side request forgery).
            Action::Message(message) => message.media_url.is_none(),
            Action::Reaction(tapback) | Action::ReactionRemoval(tapback) => {
                reaction(tapback.reaction).is_some()
            }
        }
    }

    fn perform<'a>(
        &'a self,
        thread: &'a Thread,
        action: Action<'a>,
    ) -> BoxFuture<'a, Result<Accepted, CarrierError>> {
        Box::pin(async move {
            let server = self.server(&thread.line_number)?;
            let chat = chat_guid(thread);
            let call = (consumer(thread), CallClass::from(action));
            let idempotent = |response: &HttpResponse| assess(response, RequestKind::Idempotent);
            match action {
                Action::ReadReceipt => server.post(call, &["chat", &chat, "read"], None, idempotent).await,
                Action::Typing => server.post(call, &["chat", &chat, "typing"], None, idempotent).await,
                Action::Message(OutboundMessage { id, text, media_url: None, style, reply_to, .. }) => {
                    let body = NewMessage {
                        chat_guid: &chat,
                        temp_guid: &id.to_string(),
                        message: text.unwrap_or_default(),
                        method: "private-api",
                        effect_id: style.map(effect),
                        selected_message_guid: reply_to,
                    };
                    let assess = |response: &HttpResponse| assess(response, RequestKind::Message);
                    server.post(call, &["message", "text"], Some(json(&body)?), assess).await
                }
                Action::Message(_) | Action::TypingStop => Err(CarrierError::Unsupported),
                Action::Reaction(tapback) => server.react(thread, tapback, "").await,
                Action::ReactionRemoval(tapback) => server.react(thread, tapback, "-").await,
            }
        })
    }

    fn lookup<'a>(
        &'a self,
        thread: &'a Thread,
        message: OutboundMessage<'a>,
    ) -> BoxFuture<'a, Result<Vec<LookupMatch>, CarrierError>> {
        Box::pin(async move {
            let server = self.server(&thread.line_number)?;
            let body = json(&lookup::Query::new(&chat_guid(thread), message))?;
            let assess = |response: &HttpResponse| lookup::assess(response, message);
            server
                .post((consumer(thread), CallClass::Lookup), &["message", "query"], Some(body), assess)
                .await
        })
    }

    fn list<'a>(
        &'a self,
        line: &'a PhoneNumber,
        page: ListRequest,
    ) -> BoxFuture<'a, Result<ListedPage, CarrierError>> {
        Box::pin(async move {
            let server = self.server(line)?;
            let body = json(&list::Query::new(page))?;
            let call = (Consumer::Background, CallClass::Lookup);
            server.post(call, &["message", "query"], Some(body), page_of_records).await
        })
    }

    fn typing_renewal(&self) -> Duration {
        TYPING_RENEWAL
    }

    fn serves(&self, line: &PhoneNumber) -> bool {
        self.servers.contains_key(line)
    }

    fn breaker_is_open(&self) -> bool {
        self.servers.values().any(|server| server.client.breaker_is_open())
    }
}

const fn effect(style: SendStyle) -> &'static str {
    match style {
        SendStyle::Celebration => "com.apple.messages.effect.CKSparklesEffect",
        SendStyle::ShootingStar => "com.apple.messages.effect.CKShootingStarEffect",
        SendStyle::Fireworks => "com.apple.messages.effect.CKFireworksEffect",
        SendStyle::Lasers => "com.apple.messages.effect.CKLasersEffect",
        SendStyle::Love => "com.apple.messages.effect.CKHeartEffect",
        SendStyle::Confetti => "com.apple.messages.effect.CKConfettiEffect",
        SendStyle::Balloons => "com.apple.messages.effect.CKHappyBirthdayEffect",
        SendStyle::Spotlight => "com.apple.messages.effect.CKSpotlightEffect",
        SendStyle::Echo => "com.apple.messages.effect.CKEchoEffect",
        SendStyle::Invisible => "com.apple.MobileSMS.expressivesend.invisibleink",
        SendStyle::Gentle => "com.apple.MobileSMS.expressivesend.gentle",
        SendStyle::Loud => "com.apple.MobileSMS.expressivesend.loud",
        SendStyle::Slam => "com.apple.MobileSMS.expressivesend.impact",
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
