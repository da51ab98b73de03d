mod contract;
mod keys;
mod open_services;
mod request_id;
mod revocation;
mod scopes;
mod unauthenticated;
mod unknown_keys;
