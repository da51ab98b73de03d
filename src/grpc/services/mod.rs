//! One folder per service of the contract, one file per RPC.

pub(super) mod api_keys;
pub(super) mod connections;
pub(super) mod contact_rules;
pub(super) mod conversations;
pub(super) mod identities;
pub(super) mod messages;
pub(super) mod router;
pub(super) mod sandbox;
