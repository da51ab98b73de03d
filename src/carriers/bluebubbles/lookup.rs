//! The lookup of a message whose send was not answered, by chat, time and text: the server discards the temporary id of
//! a message as soon as it is sent.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::responses::imessage_error;
use crate::carriers::carrier::{LookupMatch, OutboundMessage};
use crate::carriers::client::assessment::{Assessment, Fault};
use crate::carriers::client::http::HttpResponse;
use crate::carriers::error::CarrierError;

/// Maximum amount by which the Mac's clock may be behind the clock of this service.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(5);
/// Page size: messages of one chat since the start of a send, including the human's.
const LIMIT: u32 = 20;

/// Body of `message/query`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query<'a> {
    chat_guid: &'a str,
    after: i64,
    sort: &'static str,
    limit: u32,
    /// Newer versions of macOS store the text of sent messages only in `attributedBody`.
    with: [&'static str; 1],
}

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    guid: String,
    text: Option<String>,
    #[serde(default)]
    attributed_body: Option<Vec<AttributedBody>>,
    #[serde(default)]
    is_from_me: bool,
    associated_message_guid: Option<String>,
    #[serde(default)]
    error: i64,
}

#[derive(Deserialize)]
struct AttributedBody {
    string: Option<String>,
}

impl<'a> Query<'a> {
    pub(super) fn new(chat_guid: &'a str, message: OutboundMessage<'_>) -> Self {
        let after = (message.at - MAX_CLOCK_SKEW).timestamp_millis();
        Self { chat_guid, after, sort: "ASC", limit: LIMIT, with: ["attributedBody"] }
    }
}

impl Listed {
    fn has_text(&self, text: &str) -> bool {
        let attributed = self.attributed_body.as_ref().and_then(|bodies| bodies.first()?.string.as_deref());
        self.text.as_deref() == Some(text) || attributed == Some(text)
    }
}

/// The listed messages that may be this message.
pub(super) fn assess(response: &HttpResponse, message: OutboundMessage<'_>) -> Assessment<Vec<LookupMatch>> {
    let list = response.body.as_deref().and_then(|body| serde_json::from_slice::<List>(body).ok());
    match (response.status, list) {
        (200, Some(list)) => {
            let candidates = list.data.into_iter().filter(|listed| {
                listed.is_from_me
                    && listed.associated_message_guid.is_none()
                    && listed.has_text(message.text.unwrap_or_default())
            });
            let matches = candidates.map(|listed| LookupMatch {
                failure: imessage_error(listed.error),
                provider_message_id: listed.guid,
            });
            Assessment::of(Ok(matches.collect()))
        }
        (status, _) => {
            let fault = if status >= 500 { Fault::Carrier } else { Fault::None };
            Assessment { outcome: Err(CarrierError::TRANSIENT), fault }
        }
    }
}
