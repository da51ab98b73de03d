//! Use cases: what happens to a message on its way in or out. They do not know which API called them.

pub mod inbound;
pub mod outbound;
