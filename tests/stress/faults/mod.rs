//! Faults under a mixed load: the service and PostgreSQL are killed, the network between them is cut or stalls, carriers
//! fail. Each caller records what was acknowledged ([`participants`]). After each round all of it must be present, nothing
//! may have been done twice, and the database must satisfy every invariant ([`check`]).
//!
//! The seed determines the faults, their moments, and what each caller does. It does not determine how these interleave
//! with the work of the service, so a seed repeats the schedule, not the exact run.

mod agent;
mod carriers;
mod check;
mod environment;
mod human;
mod kills;
mod ledger;
mod listeners;
mod load;
mod network;
mod participants;
mod phone;
mod schedule;
mod settle;
