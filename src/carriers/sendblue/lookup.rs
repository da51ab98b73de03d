//! What Sendblue has of a message whose send got no answer: its list of messages, narrowed to the thread and the time.

use chrono::{SecondsFormat, TimeDelta};
use serde::Deserialize;

use super::responses::Record;
use crate::carriers::client::api_client::{Blame, Verdict};
use crate::carriers::client::http::Answer;
use crate::carriers::{CarrierError, Found, OutboundMessage, Thread};

/// How far Sendblue's clock may be behind ours.
const SKEW: TimeDelta = TimeDelta::seconds(5);
/// Messages of one thread since one of them began to be sent: more than one is rare.
const LIMIT: &str = "10";

#[derive(Deserialize)]
struct List {
    data: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    #[serde(flatten)]
    record: Record,
    content: Option<String>,
    media_url: Option<String>,
}

/// Which messages to ask for.
pub(super) fn query(thread: &Thread, message: OutboundMessage<'_>) -> [(&'static str, String); 7] {
    [
        ("is_outbound", "true".to_owned()),
        ("from_number", thread.line_number.as_str().to_owned()),
        ("to_number", thread.remote_number.as_str().to_owned()),
        ("created_at_gte", (message.at - SKEW).to_rfc3339_opts(SecondsFormat::Millis, true)),
        ("order_by", "createdAt".to_owned()),
        ("order_direction", "asc".to_owned()),
        ("limit", LIMIT.to_owned()),
    ]
}

/// Those of them that may be the message. Its file is not compared by address: Sendblue keeps a copy of its own.
pub(super) fn judge(answer: &Answer, message: OutboundMessage<'_>) -> Verdict<Vec<Found>> {
    let list = answer.body.as_deref().and_then(|body| serde_json::from_slice::<List>(body).ok());
    match (answer.status, list) {
        (200, Some(list)) => {
            let same = list.data.into_iter().filter(|listed| {
                let text = listed.content.as_deref().unwrap_or_default();
                let has_file = listed.media_url.as_deref().is_some_and(|url| !url.is_empty());
                text == message.text.unwrap_or_default() && has_file == message.media_url.is_some()
            });
            let found = same.filter_map(|listed| {
                let failure = listed.record.standing()?.err();
                Some(Found { provider_message_id: listed.record.message_handle?, failure })
            });
            Verdict::of(Ok(found.collect()))
        }
        (status, _) => {
            let blame = if status >= 500 { Blame::CarrierKind } else { Blame::Nobody };
            Verdict { outcome: Err(CarrierError::PASSING), blame }
        }
    }
}
