//! The address of an outbound message's file.

use url::Url;

use crate::domain::Media;
use crate::grpc::wire::request::Violations;

/// The longest address, in characters.
const URL_LIMIT: usize = 2_048;

/// At most one address, and https: the carrier fetches it over the open internet.
#[expect(clippy::option_option, reason = "wrong, absent and present are three things")]
pub(super) fn parse(fields: &mut Violations, urls: Vec<String>) -> Option<Option<Media>> {
    let count = urls.len();
    let mut urls = urls.into_iter();
    let Some(url) = urls.next() else { return Some(None) };
    if count > 1 {
        fields.add("media_urls", "must have at most one entry");
        return None;
    }
    let url = fields.required_text("media_urls[0]", url, URL_LIMIT)?;
    if !is_https(&url) {
        fields.add("media_urls[0]", "must be an https URL");
        return None;
    }
    Some(Some(Media { url, content_type: None, size_bytes: None }))
}

/// Whether an address is one as it is written: it goes to the carrier unchanged, and the parser forgives what a carrier's
/// may not, such as a missing or a third slash, and line breaks.
fn is_https(url: &str) -> bool {
    let is_written_out = url.split_at_checked("https://".len()).is_some_and(|(scheme, rest)| {
        scheme.eq_ignore_ascii_case("https://") && !rest.starts_with(['/', '\\'])
    });
    let is_one_word = !url.contains(|c: char| c.is_whitespace() || c.is_control());
    is_written_out && is_one_word && Url::parse(url).is_ok_and(|parsed| parsed.has_host())
}
