//! What `make run` adds to the service: a private PostgreSQL and a demo organization.

pub mod demo;
pub mod embedded_postgres;
