//! From the socket to a call: TLS, bounds on connections and calls, the drain, Unix sockets. Mirrors `src/transport` and
//! `src/grpc/limits.rs`.

mod authority;
mod calls;
mod certificates;
mod clients;
mod compression;
mod connections;
mod drain;
mod floods;
mod frames;
mod panics;
mod strangers;
mod tls;
mod unix;
