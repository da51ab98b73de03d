//! Changes of a received message by later deliveries: files and a caption that it lacks, edits, and its retraction.

use chrono::{DateTime, Utc};

use super::{Media, with_missing_files};

/// The parts of a received message that a later delivery can change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    pub text: Option<String>,
    pub media: Vec<Media>,
    /// When the human last edited it.
    pub edited_at: Option<DateTime<Utc>>,
    /// When the human took it back.
    pub retracted_at: Option<DateTime<Utc>>,
    /// The text before the first change.
    pub original_text: Option<String>,
}

impl Content {
    /// The content after a later delivery, whose `original_text` has no meaning; `None` if nothing changes.
    ///
    /// A retraction is final. Of several edits the newest counts, in whatever order they arrive.
    #[must_use]
    pub fn revised_by(&self, delivery: &Self) -> Option<Self> {
        if self.retracted_at.is_some() {
            return None;
        }
        let original_text =
            if self.edited_at.is_some() { self.original_text.clone() } else { self.text.clone() };
        if let Some(retracted_at) = delivery.retracted_at {
            let edited_at = self.edited_at;
            let retracted_at = Some(retracted_at);
            return Some(Self { text: None, media: Vec::new(), edited_at, retracted_at, original_text });
        }
        let mut revised = self.clone();
        if let Some(media) = with_missing_files(&self.media, &delivery.media) {
            revised.media = media;
        }
        // A carrier may deliver a file before the words that the human wrote with it.
        let lacks_caption = self.text.is_none() && !self.media.is_empty();
        if lacks_caption && self.edited_at.is_none() {
            revised.text.clone_from(&delivery.text);
        }
        if delivery.edited_at > self.edited_at && delivery.text.is_some() {
            revised.text.clone_from(&delivery.text);
            revised.edited_at = delivery.edited_at;
            revised.original_text = original_text;
        }
        (revised != *self).then_some(revised)
    }
}

#[cfg(test)]
mod tests {
    use super::{Content, DateTime, Media, Utc};

    fn at(second: i64) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(second, 0)
    }

    fn said(text: &str) -> Content {
        Content { text: Some(text.to_owned()), ..Content::default() }
    }

    fn edit(text: &str, second: i64) -> Content {
        Content { edited_at: at(second), ..said(text) }
    }

    #[test]
    fn the_newest_edit_counts_and_the_first_text_is_kept() {
        let stored = said("one");
        let second = stored.revised_by(&edit("two", 2)).unwrap();
        assert_eq!(second, Content { original_text: Some("one".to_owned()), ..edit("two", 2) });
        assert_eq!(second.revised_by(&edit("late", 1)), None);
        assert_eq!(second.revised_by(&edit("two", 2)), None);
        let third = second.revised_by(&edit("three", 3)).unwrap();
        assert_eq!(third, Content { original_text: Some("one".to_owned()), ..edit("three", 3) });
    }

    #[test]
    fn a_retraction_removes_everything_and_is_final() {
        let file = Media { url: "a".to_owned(), content_type: None, size_bytes: None };
        let stored = Content { media: vec![file.clone()], ..said("one") };
        let retraction = Content { retracted_at: at(9), ..Content::default() };
        for before in [stored.clone(), stored.revised_by(&edit("two", 2)).unwrap()] {
            let taken_back = before.revised_by(&retraction).unwrap();
            assert_eq!((taken_back.text.as_deref(), taken_back.media.len()), (None, 0));
            assert_eq!(taken_back.original_text.as_deref(), Some("one"));
            for later in [edit("three", 10), retraction.clone(), stored.clone()] {
                assert_eq!(taken_back.revised_by(&later), None);
            }
        }
    }

    #[test]
    fn a_file_without_words_gets_the_caption_that_follows_and_no_other_text() {
        let file = Media { url: "a".to_owned(), content_type: None, size_bytes: None };
        let stored = Content { media: vec![file], ..Content::default() };
        let captioned = stored.revised_by(&said("look")).unwrap();
        assert_eq!(
            (captioned.text.as_deref(), captioned.edited_at, captioned.media.len()),
            (Some("look"), None, 1)
        );
        assert_eq!(captioned.revised_by(&said("another")), None);
        // Without a file it was redacted.
        assert_eq!(Content::default().revised_by(&said("look")), None);
    }

    #[test]
    fn a_delivery_without_an_edit_does_not_change_the_text() {
        assert_eq!(said("one").revised_by(&said("two")), None);
        let without_text = Content { edited_at: at(1), ..Content::default() };
        assert_eq!(said("one").revised_by(&without_text), None);
    }
}
