//! Files of messages.

use serde::{Deserialize, Serialize};

/// Maximum number of files of a received message. Carriers deliver one; phones allow twenty.
pub const MAX_MEDIA: usize = 20;

/// A file of a message. Stored as JSON in this form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    pub url: String,
    /// MIME type, if the carrier reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Size in bytes, if the carrier reported it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<i64>,
}

impl Media {
    /// The URL without its query: a redelivery may sign the URL of the same file anew.
    fn location(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }
}

/// The files of a message after a later delivery of it: first those that it has, then those that it lacks, up to
/// [`MAX_MEDIA`]. `None` if it lacks none.
#[must_use]
pub fn with_missing_files(stored: &[Media], delivered: &[Media]) -> Option<Vec<Media>> {
    let mut files = stored.to_vec();
    for file in delivered {
        if files.len() < MAX_MEDIA && files.iter().all(|known| known.location() != file.location()) {
            files.push(file.clone());
        }
    }
    (files.len() > stored.len()).then_some(files)
}

#[cfg(test)]
mod tests {
    use super::{MAX_MEDIA, Media, with_missing_files};

    fn files(urls: &[&str]) -> Vec<Media> {
        urls.iter()
            .map(|url| Media { url: (*url).to_owned(), content_type: None, size_bytes: None })
            .collect()
    }

    #[test]
    fn only_missing_files_are_added_after_the_known_ones() {
        for (stored, delivered, after) in [
            (&[][..], &["a"][..], Some(&["a"][..])),
            (&["a"], &["a"], None),
            (&["a"], &[], None),
            (&["b"], &["a", "b", "c"], Some(&["b", "a", "c"])),
            (&[], &["a", "a"], Some(&["a"])),
            (&["https://x/1?signature=1"], &["https://x/1?signature=2"], None),
        ] {
            let added = with_missing_files(&files(stored), &files(delivered));
            assert_eq!(added, after.map(files), "{stored:?} and {delivered:?}");
        }
    }

    #[test]
    fn a_message_never_has_more_files_than_allowed() {
        let many: Vec<_> = (0..2 * MAX_MEDIA).map(|n| n.to_string()).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let added = with_missing_files(&files(&["first"]), &files(&many)).unwrap();
        assert_eq!(added.len(), MAX_MEDIA);
        assert_eq!(with_missing_files(&added, &files(&many)), None);
    }
}
