//! Validation of what carriers deliver, with the same rules for RPCs and carrier webhooks.

use chrono::{DateTime, Utc};

use super::InboundReaction;
use crate::domain::{
    DeliveryError, DeliveryStatus, MAX_MEDIA, MAX_PARTS, MAX_TEXT_CHARACTERS, MAX_URL_CHARACTERS, Media,
    PhoneNumber, ReactionType, Transport,
};
use crate::store::inbound::InboundText;
use crate::store::messages::DeliveryUpdate;
use crate::validation::Violations;

/// Maximum length of a provider id, in characters. Carriers use UUIDs, or ids of at most twice that length.
const MAX_PROVIDER_ID_CHARACTERS: usize = 255;
/// Maximum length of an emoji, in characters: a family with skin tones has about twelve.
pub const MAX_EMOJI_CHARACTERS: usize = 64;
/// Maximum length of the code and of the description of a carrier's error, in characters.
const MAX_ERROR_CHARACTERS: usize = 1_000;
/// Maximum length of a MIME type, in characters (RFC 6838: 127 on either side of the slash).
const MAX_CONTENT_TYPE_CHARACTERS: usize = 255;

/// A text before validation.
#[derive(Debug, Clone)]
pub struct RawText {
    /// The line that received the text.
    pub line_number: String,
    /// The human's number.
    pub remote_number: String,
    pub text: Option<String>,
    pub media: Vec<Media>,
    pub provider_message_id: String,
    /// `None` = now.
    pub sent_at: Option<DateTime<Utc>>,
    pub transport: Transport,
    /// The carrier's id of the chat; `None` if the carrier addresses humans by number.
    pub chat: Option<String>,
    /// The carrier's id of the message that this one replies to.
    pub reply_to: Option<String>,
}

impl RawText {
    /// Whether there is neither a text nor a file.
    pub fn is_empty(&self) -> bool {
        self.text.as_ref().is_none_or(String::is_empty) && self.media.is_empty()
    }

    /// The text, or `None` if a field is invalid.
    pub fn validate(self, violations: &mut Violations, now: DateTime<Utc>) -> Option<InboundText> {
        self.validate_content(violations, now, true)
    }

    /// The same for a delivery that may be empty: an update of a text, or a text whose files are still to come.
    pub fn validate_partial(self, violations: &mut Violations, now: DateTime<Utc>) -> Option<InboundText> {
        self.validate_content(violations, now, false)
    }

    fn validate_content(
        self,
        violations: &mut Violations,
        now: DateTime<Utc>,
        requires_content: bool,
    ) -> Option<InboundText> {
        let line_number = violations.line_number("line_number", &self.line_number);
        let remote_number = violations.subscriber("remote_number", &self.remote_number);
        if requires_content && self.is_empty() {
            violations.add("text", "is required if there is no media");
        }
        let text = match self.text {
            None => Some(None),
            Some(text) => violations.text("text", text, MAX_TEXT_CHARACTERS).map(Some),
        };
        let media = validate_media(violations, self.media);
        let provider_message_id = violations.required_text(
            "provider_message_id",
            self.provider_message_id,
            MAX_PROVIDER_ID_CHARACTERS,
        );
        Some(InboundText {
            line_number: line_number?,
            remote_number: remote_number?,
            text: text?,
            media: media?,
            provider_message_id: provider_message_id?,
            // The carrier's clock may be ahead of this process's, but no text is newer than now.
            sent_at: self.sent_at.map_or(now, |sent_at| sent_at.min(now)),
            transport: self.transport,
            // A chat that cannot be stored is not named in later calls either.
            chat: self.chat.filter(|chat| is_storable_id(chat)),
            // No message has an id that cannot be stored.
            reply_to: self.reply_to.filter(|id| is_storable_id(id)),
        })
    }
}

fn is_storable_id(id: &str) -> bool {
    id.chars().count() <= MAX_PROVIDER_ID_CHARACTERS && !id.contains('\0')
}

fn validate_media(violations: &mut Violations, media: Vec<Media>) -> Option<Vec<Media>> {
    if media.len() > MAX_MEDIA {
        violations.add("media", format!("must be at most {MAX_MEDIA} files"));
        return None;
    }
    let mut checked = Vec::with_capacity(media.len());
    for (i, file) in media.into_iter().enumerate() {
        let url = violations.required_text(&format!("media[{i}].url"), file.url, MAX_URL_CHARACTERS);
        let content_type = match file.content_type {
            None => Some(None),
            Some(content_type) => violations
                .text(&format!("media[{i}].content_type"), content_type, MAX_CONTENT_TYPE_CHARACTERS)
                .map(Some),
        };
        if file.size_bytes.is_some_and(|size| size < 0) {
            violations.add(format!("media[{i}].size_bytes"), "must be 0 or more");
        }
        if let (Some(url), Some(content_type)) = (url, content_type) {
            checked.push(Media { url, content_type, size_bytes: file.size_bytes });
        }
    }
    Some(checked)
}

/// A tapback before validation.
#[derive(Debug, Clone)]
pub struct RawReaction {
    pub line_number: String,
    /// The human's number.
    pub remote_number: String,
    /// The carrier's id of the message that the tapback is on.
    pub target_provider_message_id: String,
    /// `None` if the API has rejected the value already.
    pub reaction: Option<ReactionType>,
    pub custom_emoji: Option<String>,
    pub part_index: i32,
    /// Whether the tapback is removed.
    pub removed: bool,
    /// When the human did it, if it is received out of order.
    pub put_at: Option<DateTime<Utc>>,
}

impl RawReaction {
    /// The line and the tapback, or `None` if a field is invalid.
    pub fn validate(self, violations: &mut Violations) -> Option<(PhoneNumber, InboundReaction)> {
        let line_number = violations.line_number("line_number", &self.line_number);
        let remote_number = violations.subscriber("remote_number", &self.remote_number);
        let target = violations.required_text(
            "target_provider_message_id",
            self.target_provider_message_id,
            MAX_PROVIDER_ID_CHARACTERS,
        );
        let custom_emoji = match self.custom_emoji {
            None => Some(None),
            Some(emoji) => violations.required_text("custom_emoji", emoji, MAX_EMOJI_CHARACTERS).map(Some),
        };
        if let (Some(reaction), Some(emoji)) = (self.reaction, &custom_emoji)
            && (reaction == ReactionType::Custom) != emoji.is_some()
        {
            violations.add("custom_emoji", "must be set if and only if the reaction is CUSTOM");
        }
        let part_index = violations.part_index(self.part_index, MAX_PARTS);
        let reaction = InboundReaction {
            remote_number: remote_number?,
            target_provider_message_id: target?,
            reaction: self.reaction?,
            custom_emoji: custom_emoji?,
            part_index: part_index?,
            removed: self.removed,
            put_at: self.put_at,
        };
        Some((line_number?, reaction))
    }
}

/// A delivery report of a sent message before validation.
#[derive(Debug, Clone)]
pub struct RawDeliveryUpdate {
    /// The line that sent the message.
    pub line_number: String,
    pub provider_message_id: String,
    /// `None` if the API has rejected the value already.
    pub status: Option<DeliveryStatus>,
    pub error: Option<DeliveryError>,
    /// Whether the message was delivered as SMS.
    pub was_downgraded: bool,
}

impl RawDeliveryUpdate {
    /// The report, or `None` if a field is invalid.
    pub fn validate(self, violations: &mut Violations, now: DateTime<Utc>) -> Option<DeliveryUpdate> {
        let line_number = violations.line_number("line_number", &self.line_number);
        let provider_message_id = violations.required_text(
            "provider_message_id",
            self.provider_message_id,
            MAX_PROVIDER_ID_CHARACTERS,
        );
        if self.status == Some(DeliveryStatus::Received) {
            violations.add("status", "RECEIVED applies only to inbound messages");
        }
        let error = match self.error {
            None => Some(None),
            Some(error) => {
                let code = violations.text("error.code", error.code, MAX_ERROR_CHARACTERS);
                let message = violations.text("error.message", error.message, MAX_ERROR_CHARACTERS);
                code.zip(message).map(|(code, message)| Some(DeliveryError { code, message }))
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
