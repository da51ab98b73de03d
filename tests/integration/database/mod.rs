//! What an operator can put beneath the service: a PostgreSQL that is restarted, a pooler, a standby, TLS, and fewer
//! sessions than callers. Each test has servers of its own, and fails where their programs are not installed.

mod exhausted;
mod limits;
mod pgbouncer;
mod pooler;
mod replica;
mod replica_trust;
mod restart;
mod search_path;
mod tls;
