//! Reading the event log: pages, streams, and what wakes them. docs/events.md explains it to consumers.

mod cursor;
mod filter;
mod poll;
mod reader;

pub use cursor::{Cursors, Place, SealedCursors};
pub use filter::EventFilter;
pub use poll::run as poll_heads;
pub use reader::{Event, EventReader, Start};
