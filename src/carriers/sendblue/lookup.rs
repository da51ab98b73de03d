//! The lookup of a message whose send was not answered: Sendblue's list of messages, filtered by thread and time.

use chrono::{SecondsFormat, TimeDelta};
use serde::Deserialize;

use super::responses::Record;
use crate::carriers::Thread;
use crate::carriers::carrier::{LookupMatch, OutboundMessage};
use crate::carriers::client::assessment::{Assessment, Fault};
use crate::carriers::client::http::HttpResponse;
use crate::carriers::error::CarrierError;

/// Maximum amount by which Sendblue's clock may be behind the clock of this service.
const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(5);
/// Page size. More than one message in a thread since the start of a send is rare.
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

pub(super) fn query(thread: &Thread, message: OutboundMessage<'_>) -> [(&'static str, String); 7] {
    [
        ("is_outbound", "true".to_owned()),
        ("from_number", thread.line_number.as_str().to_owned()),
        ("to_number", thread.remote_number.as_str().to_owned()),
        ("created_at_gte", (message.at - MAX_CLOCK_SKEW).to_rfc3339_opts(SecondsFormat::Millis, true)),
        ("order_by", "createdAt".to_owned()),
        ("order_direction", "asc".to_owned()),
        ("limit", LIMIT.to_owned()),
    ]
}

/// The listed messages that may be this message. The address of a file is not compared, since Sendblue stores a copy.
pub(super) fn assess(response: &HttpResponse, message: OutboundMessage<'_>) -> Assessment<Vec<LookupMatch>> {
    let list = response.body.as_deref().and_then(|body| serde_json::from_slice::<List>(body).ok());
    match (response.status, list) {
        (200, Some(list)) => {
            let candidates = list.data.into_iter().filter(|listed| {
                let text = listed.content.as_deref().unwrap_or_default();
                let has_file = listed.media_url.as_deref().is_some_and(|url| !url.is_empty());
                text == message.text.unwrap_or_default() && has_file == message.media_url.is_some()
            });
            let matches = candidates.filter_map(|listed| {
                let failure = listed.record.send_result()?.err();
                Some(LookupMatch { provider_message_id: listed.record.message_handle?, failure })
            });
            Assessment::of(Ok(matches.collect()))
        }
        (status, _) => {
            let fault = if status >= 500 { Fault::Carrier } else { Fault::None };
            Assessment { outcome: Err(CarrierError::TRANSIENT), fault }
        }
    }
}
