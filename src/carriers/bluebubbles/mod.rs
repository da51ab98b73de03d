//! BlueBubbles: a server on a Mac of one's own, which speaks through the Messages program there. One Mac for a line.
//!
//! Everything but plain text needs its Private API, and so do receipts and typing, so it is taken for granted. A typing
//! bubble is never stopped: the server's DELETE starts it again, and the message that follows ends it anyway.

mod lookup;
mod responses;

use std::collections::HashMap;

use futures_util::future::BoxFuture;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, Method, Request};
use serde::Serialize;

use crate::carriers::client::api_client::{Endpoint, Verdict};
use crate::carriers::client::http::{Answer, below};
use crate::carriers::{
    Accepted, Action, Carrier, CarrierError, Found, Mac, OutboundMessage, Tapback, Thread,
};
use crate::domain::{PhoneNumber, ReactionType, SendStyle};
use responses::{Kind, judge};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The Macs, by their lines.
pub(super) struct BlueBubbles {
    servers: HashMap<PhoneNumber, Server>,
}

struct Server {
    mac: Mac,
    endpoint: Endpoint,
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
    pub(super) fn new(macs: impl IntoIterator<Item = (Mac, Endpoint)>) -> Self {
        let servers = macs.into_iter().map(|(mac, endpoint)| (mac.number.clone(), Server { mac, endpoint }));
        Self { servers: servers.collect() }
    }

    fn server(&self, thread: &Thread) -> Result<&Server, CarrierError> {
        self.servers.get(&thread.line_number).ok_or_else(|| {
            tracing::error!(
                "a line is with bluebubbles, but INKBOX_BLUEBUBBLES_SERVERS has no server for it"
            );
            CarrierError::REFUSED
        })
    }
}

impl Server {
    async fn post<T>(
        &self,
        path: &[&str],
        body: Option<Vec<u8>>,
        judge: impl FnOnce(&Answer) -> Verdict<T>,
    ) -> Result<T, CarrierError> {
        let mut url = below(&self.mac.url, &[&["api", "v1"], path].concat());
        url.query_pairs_mut().append_pair("password", self.mac.password.reveal());
        let mut request = Request::new(Method::POST, url);
        request.headers_mut().insert(ACCEPT, JSON);
        if let Some(body) = body {
            request.headers_mut().insert(CONTENT_TYPE, JSON);
            *request.body_mut() = Some(Body::from(body));
        }
        self.endpoint.call(request, judge).await
    }

    async fn react(&self, chat: &str, tapback: Tapback<'_>, prefix: &str) -> Result<Accepted, CarrierError> {
        let name = reaction(tapback.reaction).ok_or(CarrierError::Unsupported)?;
        let body = NewReaction {
            chat_guid: chat,
            // A message that the server never named cannot be pointed at.
            selected_message_guid: tapback.provider_message_id.ok_or(CarrierError::REFUSED)?,
            reaction: &format!("{prefix}{name}"),
            part_index: tapback.part_index,
        };
        self.post(&["message", "react"], Some(json(&body)?), |answer| judge(answer, Kind::Reaction)).await
    }
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, CarrierError> {
    serde_json::to_vec(body).map_err(|_| CarrierError::REFUSED)
}

/// The chat of two people, as Messages names it.
fn chat(thread: &Thread) -> String {
    format!("iMessage;-;{}", thread.remote_number.as_str())
}

impl Carrier for BlueBubbles {
    fn supports(&self, action: Action<'_>) -> bool {
        match action {
            Action::ReadReceipt | Action::Typing => true,
            // It takes files as uploads alone. To fetch one from wherever an agent says would make this service a way
            // into the network it stands in.
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
            let server = self.server(thread)?;
            let chat = chat(thread);
            let harmless = |answer: &Answer| judge(answer, Kind::Harmless);
            match action {
                Action::ReadReceipt => server.post(&["chat", &chat, "read"], None, harmless).await,
                Action::Typing => server.post(&["chat", &chat, "typing"], None, harmless).await,
                Action::Message(OutboundMessage { id, text, media_url: None, style, .. }) => {
                    let body = NewMessage {
                        chat_guid: &chat,
                        temp_guid: &id.to_string(),
                        message: text.unwrap_or_default(),
                        method: "private-api",
                        effect_id: style.map(effect),
                    };
                    let message = |answer: &Answer| judge(answer, Kind::Message);
                    server.post(&["message", "text"], Some(json(&body)?), message).await
                }
                Action::Message(_) => Err(CarrierError::Unsupported),
                Action::Reaction(tapback) => server.react(&chat, tapback, "").await,
                Action::ReactionRemoval(tapback) => server.react(&chat, tapback, "-").await,
            }
        })
    }

    fn look_up<'a>(
        &'a self,
        thread: &'a Thread,
        message: OutboundMessage<'a>,
    ) -> BoxFuture<'a, Result<Vec<Found>, CarrierError>> {
        Box::pin(async move {
            let server = self.server(thread)?;
            let body = json(&lookup::Query::new(&chat(thread), message))?;
            server.post(&["message", "query"], Some(body), |answer| lookup::judge(answer, message)).await
        })
    }

    fn serves(&self, number: &PhoneNumber) -> bool {
        self.servers.contains_key(number)
    }

    fn is_cut_off(&self) -> bool {
        self.servers.values().any(|server| server.endpoint.is_cut_off())
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
