//! State in PostgreSQL. Each file has the queries of one table family, as text beside the function that runs them; sqlx
//! checks them against the migrations at compile time. `pool` has the access to the database.
//!
//! # Adding a query
//!
//! 1. Write a function in the file of its table. It takes the [`Database`] and the organization, and runs `query!` or
//!    `query_as!` with the text.
//! 2. Choose how it reaches the database:
//!    - a list or get that a caller sees: [`Database::read`], which may use the replica. `run` reads a list or a count,
//!      `find` one row: it asks the primary for what the replica does not have;
//!    - a read that decides something: [`Database::acquire`] with [`Affects::None`];
//!    - a change: [`Database::acquire`] with [`Affects::organization`];
//!    - statements that must agree: [`Database::transaction`]. It repeats its work after a serialization conflict;
//!    - a query by key that thousands of concurrent calls run: a `BatchQuery`, run with `Database::load`.
//! 3. Name the span `"query <path below src/store>::<function>"`, such as `"query conversations::get::exists"`. Add the
//!    name to `tests/integration/store/spans.rs`. A name stays when the function moves, since dashboards rely on it.
//! 4. Name `organization_id` in every condition on a tenant table, and in the first column of every key. A query of one
//!    tenant then runs on one node of a distributed database.
//! 5. Give it an index, and name the query in the comment of the index (`migrations/README.md`).
//! 6. Return `Option` for an absent row; the caller decides which error that is. Report a value that no version of this
//!    program writes as [`StoreError::Corrupt`].
//! 7. Lock in this order: connection, conversation, messages.
//! 8. Run `make sqlx`, which refreshes `.sqlx/`, and commit it.
//!
//! ```
//! use inkbox_imessage::domain::{IdentityId, OrganizationId};
//! use inkbox_imessage::store::{Database, StoreError};
//!
//! /// The display name of an identity; `None` if the organization has no such identity.
//! pub async fn display_name(
//!     db: &Database,
//!     organization_id: &OrganizationId,
//!     id: IdentityId,
//! ) -> Result<Option<String>, StoreError> {
//!     let mut session = db.read(organization_id).await?;
//!     session
//!         .find("query identities::display_name", |connection| async move {
//!             // In the crate: `query_scalar!`, which is checked at compile time.
//!             let name = sqlx::query_scalar(
//!                 "SELECT display_name FROM identities WHERE organization_id = $1 AND id = $2",
//!             )
//!             .bind(organization_id.as_str())
//!             .bind(id.uuid())
//!             .fetch_optional(connection)
//!             .await?;
//!             Ok(name)
//!         })
//!         .await
//! }
//! ```

pub mod api_keys;
pub mod audit;
pub mod back_fill;
pub mod connections;
pub mod contact_rules;
pub mod conversations;
mod created;
pub mod events;
pub mod identities;
pub mod inbound;
pub mod integrity;
pub mod key_digests;
pub mod lines;
pub mod messages;
mod newest_first;
pub mod organizations;
mod pool;
pub mod reactions;
pub mod retention;
pub mod router_commands;
pub mod tapback_texts;

pub use created::Created;
use pool::OPERATION_LIMIT;
pub use pool::{
    Affects, Database, DatabaseTarget, DbConnection, EventHeads, PoolState, Pooler, ReadSession,
    ReplicaSettings, SchemaError, Session, StoreError, apply_by_statement, citus, migrate, schema_is_current,
};
