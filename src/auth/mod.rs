//! API keys: how one is issued, found in a request, looked up and cached, and when its use is recorded.

pub mod issue;
pub(crate) mod key_usage;
