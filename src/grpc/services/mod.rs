//! One folder per service of the proto, and in it one file per RPC. A file has `parse`, which collects all violations of the
//! request, and a handler with three steps: parse and check the key's scope, call one use case of [`crate::messaging`] or
//! read from [`crate::store`], and encode the result. See [`crate::grpc`] for how to add an RPC.

pub(super) mod api_keys;
pub(super) mod connections;
pub(super) mod contact_rules;
pub(super) mod conversations;
pub(super) mod events;
pub(super) mod identities;
pub(super) mod messages;
pub(super) mod router;
pub(super) mod sandbox;
