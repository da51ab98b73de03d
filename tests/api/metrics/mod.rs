//! Metrics, as a scraper sees them after calls of every kind.

mod calls;
mod documented;
mod lines;
mod listener;
mod state;
