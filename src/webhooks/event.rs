//! What carriers deliver, in our own words. Nothing of it is checked yet.

use chrono::{DateTime, Utc};

use crate::ingest::{GivenNews, GivenReaction, GivenText};

/// One delivery.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// A human sent something.
    Text(GivenText),
    /// A human put a tapback on a message, or took it back.
    Tapback(GivenReaction),
    /// How far a message of ours has come.
    News(News),
    /// Not for us, and why.
    Ignored(&'static str),
}

/// News of a message of ours.
#[derive(Debug, Clone)]
pub(super) struct News {
    pub(super) given: GivenNews,
    /// What the message may also be known by.
    pub(super) other_id: Option<String>,
    /// When the carrier got the message; `None` where it does not tell.
    pub(super) sent_at: Option<DateTime<Utc>>,
}
