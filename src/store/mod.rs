//! State in PostgreSQL. One file a table family; each query stands as text beside the one function that runs it,
//! checked against the migrations at compile time.
//!
//! To add a query: write it with `query!` in the file of its table, run it on a [`Database::session`], or in a
//! [`Database::transaction`] where statements must agree; name
//! `organization_id` in every condition on a tenant table; give it an index, and name the query in that index's
//! comment; `make sqlx` refreshes `.sqlx/`. Lock order: connection, then conversation, then messages.

pub mod api_keys;
pub mod connections;
pub mod contact_rules;
pub mod conversations;
mod database;
pub mod erasure;
mod failure;
pub mod identities;
pub mod inbound;
pub mod key_digests;
pub mod lines;
pub mod messages;
mod migrations;
pub mod organizations;
pub mod reactions;
pub mod retention;
pub mod router_commands;
pub mod sweeps;

pub use database::Database;
pub use failure::Failure;
pub use migrations::{SchemaError, migrate, schema_is_current};
