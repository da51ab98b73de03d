//! A private PostgreSQL server and a demo organization, for `make run` and local development.

pub mod demo;
pub mod embedded_postgres;
