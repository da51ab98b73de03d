//! What a Mac has of a message whose send got no answer. It forgets our id of a message as soon as it is sent, so it is
//! found by chat, time and text.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use super::responses::imessage_error;
use crate::carriers::client::api_client::{Blame, Verdict};
use crate::carriers::client::http::Answer;
use crate::carriers::{CarrierError, Found, OutboundMessage};

/// How far the Mac's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::seconds(5);
/// Messages of one chat, the human's too, since one of them began to be sent.
const LIMIT: u32 = 20;

/// Body of `message/query`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query<'a> {
    chat_guid: &'a str,
    after: i64,
    sort: &'static str,
    limit: u32,
    /// Newer systems keep the text of what they send there alone.
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
        let after = (message.at - SKEW).timestamp_millis();
        Self { chat_guid, after, sort: "ASC", limit: LIMIT, with: ["attributedBody"] }
    }
}

impl Listed {
    fn says(&self, text: &str) -> bool {
        let attributed = self.attributed_body.as_ref().and_then(|bodies| bodies.first()?.string.as_deref());
        self.text.as_deref() == Some(text) || attributed == Some(text)
    }
}

/// Those of them that may be the message.
pub(super) fn judge(answer: &Answer, message: OutboundMessage<'_>) -> Verdict<Vec<Found>> {
    let list = answer.body.as_deref().and_then(|body| serde_json::from_slice::<List>(body).ok());
    match (answer.status, list) {
        (200, Some(list)) => {
            let same = list.data.into_iter().filter(|listed| {
                listed.is_from_me
                    && listed.associated_message_guid.is_none()
                    && listed.says(message.text.unwrap_or_default())
            });
            let found = same.map(|listed| Found {
                failure: imessage_error(listed.error),
                provider_message_id: listed.guid,
            });
            Verdict::of(Ok(found.collect()))
        }
        (status, _) => {
            let blame = if status >= 500 { Blame::CarrierKind } else { Blame::Nobody };
            Verdict { outcome: Err(CarrierError::PASSING), blame }
        }
    }
}
