//! Validation of messages that agents send, with the same rules for every API.

use url::Url;

use crate::domain::{IdempotencyKey, MAX_TEXT_CHARACTERS, Media};
use crate::validation::Violations;

/// Maximum length of a file's URL, in characters.
const MAX_URL_CHARACTERS: usize = 2_048;

/// The content of a message: a text, a file, or both.
#[derive(Debug, Clone)]
pub struct Content {
    pub text: Option<String>,
    pub media: Option<Media>,
}

impl Content {
    pub fn validate(
        violations: &mut Violations,
        text: Option<String>,
        media_urls: Vec<String>,
    ) -> Option<Self> {
        if text.as_ref().is_none_or(String::is_empty) && media_urls.is_empty() {
            violations.add("text", "is required if there is no media");
        }
        let text = match text {
            None => Some(None),
            Some(text) => violations.text("text", text, MAX_TEXT_CHARACTERS).map(Some),
        };
        let media = validate_media_urls(violations, media_urls);
        Some(Self { text: text?, media: media? })
    }
}

pub fn validate_idempotency_key(violations: &mut Violations, key: String) -> Option<String> {
    let printable = key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if !printable || !(1..=IdempotencyKey::MAX_CHARACTERS).contains(&key.len()) {
        let most = IdempotencyKey::MAX_CHARACTERS;
        violations.add("idempotency_key", format!("must be 1 to {most} printable ASCII characters"));
        return None;
    }
    Some(key)
}

/// At most one URL, and `https`, because the carrier fetches it over the public internet.
#[expect(clippy::option_option, reason = "invalid, absent and present are three cases")]
fn validate_media_urls(violations: &mut Violations, urls: Vec<String>) -> Option<Option<Media>> {
    let count = urls.len();
    let mut urls = urls.into_iter();
    let Some(url) = urls.next() else { return Some(None) };
    if count > 1 {
        violations.add("media_urls", "must have at most one entry");
        return None;
    }
    let url = violations.required_text("media_urls[0]", url, MAX_URL_CHARACTERS)?;
    if !is_https(&url) {
        violations.add("media_urls[0]", "must be an https URL");
        return None;
    }
    Some(Some(Media { url, content_type: None, size_bytes: None }))
}

/// Whether a text is an `https` URL exactly as it is written. It goes to the carrier unchanged, and [`Url::parse`]
/// tolerates what a carrier's parser may reject, such as a missing or a third slash, and line breaks.
fn is_https(url: &str) -> bool {
    let has_scheme = url.split_at_checked("https://".len()).is_some_and(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case("https://") && !rest.starts_with(['/', '\\'])
    });
    let has_blank = url.contains(|c: char| c.is_whitespace() || c.is_control());
    has_scheme && !has_blank && Url::parse(url).is_ok_and(|parsed| parsed.has_host())
}
