//! What the state promises: the shape of the schema, the plans of the queries, and what an outage or a caller who goes
//! away may do to it.

mod batches;
mod cancellation;
mod catalog;
mod checked_queries;
mod hot;
mod migrations;
mod plans;
mod router;
mod session_scopes;
mod sessions;
mod sources;
mod spans;
mod unavailable;
