//! Reads the log of an organization from a place on.

use std::sync::Arc;

use tokio::sync::watch;
use uuid::Uuid;

use super::cursor::Place;
use super::filter::EventFilter;
use crate::domain::OrganizationId;
use crate::error::{Error, Result};
use crate::store::Database;
use crate::store::events::{self, LogBounds, LoggedEvent, SubjectRows};

/// Where a reader starts.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// With what is committed from now on.
    Now,
    /// With the oldest event that is kept.
    Oldest,
    /// After a place that an earlier reader has reached.
    After(Place),
}

/// An event, and the rows that it refers to as they are now.
#[derive(Debug)]
pub struct Event {
    pub logged: LoggedEvent,
    pub rows: SubjectRows,
    /// The place after it.
    pub place: Place,
}

/// Reads the events of an organization in commit order. Unread events stay in the database: a reader holds one page without
/// message bodies, which it shares with others that read the same.
///
/// All methods can be cancelled without skipping an event.
#[expect(missing_debug_implementations, reason = "lives for one call and is never printed")]
pub struct EventReader {
    db: Database,
    organization_id: OrganizationId,
    filter: EventFilter,
    place: Place,
    page: Arc<[LoggedEvent]>,
    /// Index in the page of the next event.
    next: usize,
    pages_read: u32,
    head: watch::Receiver<i64>,
}

impl EventReader {
    /// # Errors
    /// `CursorExpired` if events after the place are no longer kept, or the log was restored to an older state; those of the
    /// database.
    pub async fn start(
        db: &Database,
        organization_id: &OrganizationId,
        filter: EventFilter,
        start: Start,
    ) -> Result<Self> {
        // Before the log is read, so that no commit is missed in between.
        let head = db.event_heads().subscribe(organization_id);
        let sequence = if let Start::After(place) = start { place.sequence } else { 0 };
        let bounds = events::bounds(db, organization_id, sequence).await?;
        db.event_heads().advance(organization_id, bounds.last);
        let place = match start {
            Start::Now => end_of(&bounds),
            Start::Oldest => bounds
                .oldest
                .map_or(end_of(&bounds), |oldest| Place { sequence: oldest - 1, event_id: Uuid::nil() }),
            Start::After(place) => valid(place, &bounds)?,
        };
        Ok(Self {
            db: db.clone(),
            organization_id: organization_id.clone(),
            filter,
            place,
            page: Arc::from([]),
            next: 0,
            pages_read: 0,
            head,
        })
    }

    /// How far was read, hidden events included.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// How many pages were read from the database.
    #[must_use]
    pub const fn pages_read(&self) -> u32 {
        self.pages_read
    }

    /// The next event that the filter shows; `None` at the end of the log.
    ///
    /// # Errors
    /// `CursorExpired` if the reader was so slow that events were deleted before it read them; those of the database.
    pub async fn try_next(&mut self) -> Result<Option<Event>> {
        loop {
            while let Some(event) = self.page.get(self.next) {
                let place = Place { sequence: event.sequence, event_id: event.id.uuid() };
                let shown = if self.filter.shows(event) {
                    let rows = events::subject(&self.db, &self.organization_id, event).await?;
                    Some(Event { logged: event.clone(), rows, place })
                } else {
                    None
                };
                self.place = place;
                self.next += 1;
                if shown.is_some() {
                    return Ok(shown);
                }
            }
            // Before the page is read: a later head may be of a commit that the page does not have.
            let head = *self.head.borrow();
            let page = events::after(&self.db, &self.organization_id, self.place.sequence).await?;
            let Some(first) = page.first() else {
                // What is known to have been there was deleted, or the log was restored to an older state.
                let is_gone = head > self.place.sequence;
                return if is_gone { Err(Error::CursorExpired) } else { Ok(None) };
            };
            // The numbers have no gaps, so what is missing was deleted.
            if first.sequence != self.place.sequence + 1 {
                return Err(Error::CursorExpired);
            }
            (self.page, self.next) = (page, 0);
            self.pages_read = self.pages_read.saturating_add(1);
        }
    }

    /// Waits until the log goes on after what was read.
    pub async fn wait(&mut self) {
        let sequence = self.place.sequence;
        // The sender lives as long as there is a receiver.
        if self.head.wait_for(|head| *head > sequence).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether everything was read that was committed before this call.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn number_of_last_commit(&self) -> Result<i64> {
        Ok(events::bounds(&self.db, &self.organization_id, 0).await?.last)
    }
}

fn end_of(bounds: &LogBounds) -> Place {
    Place { sequence: bounds.last, event_id: bounds.last_id.unwrap_or_default() }
}

/// The place, if every event after it is still kept.
fn valid(place: Place, bounds: &LogBounds) -> Result<Place> {
    let oldest = bounds.oldest.unwrap_or(bounds.last + 1);
    let is_kept = (oldest - 1..=bounds.last).contains(&place.sequence);
    let is_other = |id: Uuid| !place.event_id.is_nil() && place.event_id != id;
    if !is_kept || bounds.id_at.is_some_and(is_other) {
        return Err(Error::CursorExpired);
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{LogBounds, Place, valid};

    #[test]
    fn a_place_is_valid_while_all_that_follows_it_is_kept_and_is_the_same_log() {
        let id = Uuid::from_u128;
        let bounds = |oldest, id_at| LogBounds { oldest, last: 9, last_id: Some(id(9)), id_at };
        let place = |sequence, event| Place { sequence, event_id: id(event) };
        for (what, place, bounds, expected) in [
            ("the newest", place(9, 9), bounds(Some(3), Some(id(9))), true),
            ("one that is kept", place(3, 3), bounds(Some(3), Some(id(3))), true),
            ("just before the oldest that is kept", place(2, 2), bounds(Some(3), None), true),
            ("deleted", place(1, 1), bounds(Some(3), None), false),
            ("before all", place(0, 0), bounds(Some(1), None), true),
            ("nothing is kept, all was read", place(9, 9), bounds(None, None), true),
            ("nothing is kept, not all was read", place(8, 8), bounds(None, None), false),
            ("after the end: the log was restored", place(10, 10), bounds(Some(3), None), false),
            (
                "another event: the log was restored and went on",
                place(5, 5),
                bounds(Some(3), Some(id(55))),
                false,
            ),
            ("an id that was not known", place(5, 0), bounds(Some(3), Some(id(55))), true),
        ] {
            assert_eq!(valid(place, &bounds).is_ok(), expected, "{what}");
        }
    }
}
