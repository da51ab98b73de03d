//! Faults under a mixed load: PostgreSQL and the service are killed, the wire between them is cut and stalls, carriers fail.
//! Whoever calls writes down what was acknowledged ([`participants`]); after each round all of it must be there, nothing may have
//! been done twice, and the database must hold every invariant ([`check`]).
//!
//! `INKBOX_TORTURE_ROUNDS` says how many rounds each test has (few by default), `INKBOX_TORTURE_SEED` which ones: the seed
//! is printed. It decides on faults, their moments, and what each caller does; how all that falls into the service's
//! work is up to the machine, so a seed brings the same course back, not the same interleaving.

mod agent;
mod carriers;
mod check;
mod environment;
mod human;
mod kills;
mod ledger;
mod load;
mod network;
mod participants;
mod phone;
mod schedule;
mod settle;
