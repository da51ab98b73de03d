//! API keys: how they are presented, verified, cached and issued, and what their scope allows. Independent of the API that
//! receives a call.

mod header;
mod issue;
mod key_cache;
mod key_usage;
mod scope;
mod single_flight;

pub use header::presented_key;
pub use issue::{MAX_LABEL_CHARACTERS, NewKey, issue_key};
pub use key_cache::KeyCache;
pub use scope::find_named_identity;
