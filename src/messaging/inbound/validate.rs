//! What lines deliver, as it came: checked here, by the same rules whether an RPC or a carrier's webhook brought it.

use chrono::{DateTime, Utc};

use super::InboundReaction;
use crate::domain::{
    DeliveryError, DeliveryStatus, MAX_PARTS, Media, PhoneNumber, ReactionType, TEXT_LIMIT, Transport,
};
use crate::store::inbound::InboundText;
use crate::store::messages::DeliveryUpdate;
use crate::validation::Violations;

/// The longest provider id, in characters. Carriers' ids are uuids, or twice that at most.
const PROVIDER_ID_LIMIT: usize = 255;
/// The longest emoji, in characters: a family with skin tones takes a dozen.
pub const EMOJI_LIMIT: usize = 64;
/// The longest code or text of a carrier's error, in characters.
const ERROR_TEXT_LIMIT: usize = 1_000;
/// Most files on one message. Carriers deliver one; the phone allows twenty.
const MOST_MEDIA: usize = 20;
/// The longest address of a file, in characters.
const URL_LIMIT: usize = 2_048;
/// The longest MIME type, in characters (RFC 6838: 127 on either side of the slash).
const CONTENT_TYPE_LIMIT: usize = 255;

/// A text.
#[derive(Debug, Clone)]
pub struct RawText {
    /// The line that the human texted.
    pub line_number: String,
    /// The human.
    pub remote_number: String,
    /// What was said.
    pub text: Option<String>,
    /// Files.
    pub media: Vec<Media>,
    /// The carrier's id.
    pub provider_message_id: String,
    /// When it was sent; `None` = now.
    pub sent_at: Option<DateTime<Utc>>,
    /// What carried it.
    pub transport: Transport,
}

impl RawText {
    /// The text, where every field of it is right.
    pub fn check(self, fields: &mut Violations, now: DateTime<Utc>) -> Option<InboundText> {
        let line_number = fields.phone_number("line_number", &self.line_number);
        let remote_number = fields.phone_number("remote_number", &self.remote_number);
        if self.text.as_ref().is_none_or(String::is_empty) && self.media.is_empty() {
            fields.add("text", "is required if there is no media");
        }
        let text = match self.text {
            None => Some(None),
            Some(text) => fields.text("text", text, TEXT_LIMIT).map(Some),
        };
        let media = check_media(fields, self.media);
        let provider_message_id =
            fields.required_text("provider_message_id", self.provider_message_id, PROVIDER_ID_LIMIT);
        Some(InboundText {
            line_number: line_number?,
            remote_number: remote_number?,
            text: text?,
            media: media?,
            provider_message_id: provider_message_id?,
            // A carrier's clock may be ahead of ours; nothing is newer than now.
            sent_at: self.sent_at.map_or(now, |sent_at| sent_at.min(now)),
            transport: self.transport,
        })
    }
}

fn check_media(fields: &mut Violations, media: Vec<Media>) -> Option<Vec<Media>> {
    if media.len() > MOST_MEDIA {
        fields.add("media", format!("must be at most {MOST_MEDIA} files"));
        return None;
    }
    let mut checked = Vec::with_capacity(media.len());
    for (i, file) in media.into_iter().enumerate() {
        let url = fields.required_text(&format!("media[{i}].url"), file.url, URL_LIMIT);
        let content_type = match file.content_type {
            None => Some(None),
            Some(content_type) => {
                fields.text(&format!("media[{i}].content_type"), content_type, CONTENT_TYPE_LIMIT).map(Some)
            }
        };
        if file.size_bytes.is_some_and(|size| size < 0) {
            fields.add(format!("media[{i}].size_bytes"), "must be 0 or more");
        }
        if let (Some(url), Some(content_type)) = (url, content_type) {
            checked.push(Media { url, content_type, size_bytes: file.size_bytes });
        }
    }
    Some(checked)
}

/// A tapback.
#[derive(Debug, Clone)]
pub struct RawReaction {
    /// The line.
    pub line_number: String,
    /// The human.
    pub remote_number: String,
    /// The carrier's id of the message it is on.
    pub target_provider_message_id: String,
    /// What it says; `None` where it has been refused already.
    pub reaction: Option<ReactionType>,
    /// The emoji of a custom one.
    pub custom_emoji: Option<String>,
    /// Which part of the message.
    pub part_index: i32,
    /// Whether it is taken back.
    pub removed: bool,
}

impl RawReaction {
    /// The line and the tapback, where every field is right.
    pub fn check(self, fields: &mut Violations) -> Option<(PhoneNumber, InboundReaction)> {
        let line_number = fields.phone_number("line_number", &self.line_number);
        let remote_number = fields.phone_number("remote_number", &self.remote_number);
        let target = fields.required_text(
            "target_provider_message_id",
            self.target_provider_message_id,
            PROVIDER_ID_LIMIT,
        );
        let custom_emoji = match self.custom_emoji {
            None => Some(None),
            Some(emoji) => fields.required_text("custom_emoji", emoji, EMOJI_LIMIT).map(Some),
        };
        if let (Some(reaction), Some(emoji)) = (self.reaction, &custom_emoji)
            && (reaction == ReactionType::Custom) != emoji.is_some()
        {
            fields.add("custom_emoji", "must be set if and only if the reaction is CUSTOM");
        }
        let part_index = fields.part_index(self.part_index, MAX_PARTS);
        let reaction = InboundReaction {
            remote_number: remote_number?,
            target_provider_message_id: target?,
            reaction: self.reaction?,
            custom_emoji: custom_emoji?,
            part_index: part_index?,
            removed: self.removed,
        };
        Some((line_number?, reaction))
    }
}

/// News of a message of ours.
#[derive(Debug, Clone)]
pub struct RawDeliveryUpdate {
    /// The line it was sent from.
    pub line_number: String,
    /// The carrier's id of it.
    pub provider_message_id: String,
    /// How far it has come; `None` where it has been refused already.
    pub status: Option<DeliveryStatus>,
    /// Why it failed.
    pub error: Option<DeliveryError>,
    /// Whether it went as SMS.
    pub was_downgraded: bool,
}

impl RawDeliveryUpdate {
    /// The news, where every field is right.
    pub fn check(self, fields: &mut Violations, now: DateTime<Utc>) -> Option<DeliveryUpdate> {
        let line_number = fields.phone_number("line_number", &self.line_number);
        let provider_message_id =
            fields.required_text("provider_message_id", self.provider_message_id, PROVIDER_ID_LIMIT);
        if self.status == Some(DeliveryStatus::Received) {
            fields.add("status", "RECEIVED applies only to inbound messages");
        }
        let error = match self.error {
            None => Some(None),
            Some(error) => {
                let code = fields.text("error.code", error.code, ERROR_TEXT_LIMIT);
                let words = fields.text("error.message", error.message, ERROR_TEXT_LIMIT);
                code.zip(words).map(|(code, message)| Some(DeliveryError { code, message }))
            }
        };
        Some(DeliveryUpdate {
            line_number: line_number?,
            provider_message_id: provider_message_id?,
            status: self.status?,
            error: error?,
            was_downgraded: self.was_downgraded,
            now,
        })
    }
}
