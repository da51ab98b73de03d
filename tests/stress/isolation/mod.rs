//! Isolation of tenants: a resource of another tenant cannot be told from one that does not exist, for every RPC, every
//! kind of key, and every field that can name a resource. The RPCs and their fields are read from the API descriptor, so a
//! new one fails until it has a case here ([`contract`]).
//!
//! [`same_bytes`] compares the bytes of responses, [`names`] does so for names that are no ids (handles, numbers,
//! idempotency keys, carriers' message ids), [`timing`] compares how long the calls take.

mod answer;
mod contract;
mod median;
mod names;
mod requests;
mod same_bytes;
mod tenant;
mod timing;
mod world;
