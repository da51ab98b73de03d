//! What belongs to another tenant reads exactly like what does not exist: for every RPC of the contract, every kind of
//! key, and every field that can name something. The RPCs and their fields are read from the compiled contract, so that
//! a new one without a case here fails ([`contract`]).
//!
//! `same_bytes` compares answers to the byte, `names` does so for what is no id (handles, numbers, idempotency keys,
//! carriers' ids), `timing` compares how long they take. `INKBOX_ISOLATION_CALLS` says how many calls of each kind
//! `timing` makes (`make torture-isolation`: 1,000).

mod answer;
mod contract;
mod median;
mod names;
mod requests;
mod same_bytes;
mod tenant;
mod timing;
mod world;
