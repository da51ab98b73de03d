//! API keys: how they are presented, verified, cached and issued. Independent of the API that receives a call.

mod header;
mod issue;
mod key_cache;
mod key_usage;
mod single_flight;

pub mod scope;

pub use header::presented_key;
pub use issue::{LABEL_LIMIT, NewKey, issue_key};
pub use key_cache::KeyCache;
