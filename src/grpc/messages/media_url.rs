//! The address of an outbound message's file.

use url::Url;

use crate::domain::Media;
use crate::grpc::request::Fields;

/// The longest address, in characters.
const URL_LIMIT: usize = 2_048;

/// At most one address, and https: the carrier fetches it over the open internet.
#[expect(clippy::option_option, reason = "wrong, absent and present are three things")]
pub(super) fn parse(fields: &mut Fields, urls: Vec<String>) -> Option<Option<Media>> {
    let count = urls.len();
    let mut urls = urls.into_iter();
    let Some(url) = urls.next() else { return Some(None) };
    if count > 1 {
        fields.refuse("media_urls", "must be at most one");
        return None;
    }
    let url = fields.required_text("media_urls[0]", url, URL_LIMIT)?;
    let is_https = Url::parse(&url).is_ok_and(|parsed| parsed.scheme() == "https" && parsed.has_host());
    if !is_https {
        fields.refuse("media_urls[0]", "must be an https URL");
        return None;
    }
    Some(Some(Media { url, content_type: None, size_bytes: None }))
}
