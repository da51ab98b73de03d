//! Metrics, as a scraper sees them after calls of every kind.

mod calls;
mod carriers;
pub(crate) mod documented;
mod listener;
mod state;
