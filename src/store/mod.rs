//! State in PostgreSQL. One file a table family; each query stands as text beside the one function that runs it,
//! checked against the migrations at compile time.
//!
//! To add a query: write it with `query!` in the file of its table and run it where it belongs: a list or get on
//! [`Database::reading`], what decides something on [`Database::look_up`] (or, where calls that ask by key come by the
//! thousand, as a kind of `gathered::Shared`), a change on [`Database::session_for`], or in
//! a [`Database::transaction_for`] where statements must agree; name
//! `organization_id` in every condition on a tenant table; give it an index, and name the query in that index's
//! comment; `make sqlx` refreshes `.sqlx/`. Lock order: connection, then conversation, then messages.

mod affects;
pub mod api_keys;
pub mod connections;
pub mod contact_rules;
pub mod conversations;
mod created;
mod database;
pub mod distribution;
mod failure;
mod gathered;
pub mod identities;
pub mod inbound;
pub mod integrity;
pub mod key_digests;
pub mod lines;
mod link;
pub mod messages;
mod migrations;
mod newest_first;
pub mod organizations;
pub mod reactions;
mod reading;
pub mod retention;
pub mod router_commands;
mod session;
mod standby;
pub mod tapback_texts;

pub use affects::Affects;
pub use created::Created;
pub use database::Database;
use database::OPERATION_LIMIT;
pub use failure::StoreError;
pub use link::{DatabaseTarget, DbConnection, Pooler};
pub use migrations::{SchemaError, apply_by_statement, migrate, schema_is_current};
pub use reading::ReadSession;
pub use session::Session;
pub use standby::ReplicaSettings;
