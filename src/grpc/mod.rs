//! The gRPC API: parses a request, calls one use case or one query, and encodes the result.
//!
//! `services` has one file per RPC, `middleware` the layers around every call, and `wire` what both build on. Imports point
//! only from `services` and `middleware` to `wire`; use cases never import this module.
//!
//! To add an RPC:
//! 1. Describe it in `proto/inkbox/imessage/v1/<service>_service.proto`, with a comment on every item.
//!    The crate does not compile until step 4 is done; `make lint` then checks the contract.
//! 2. If it changes data or calls a carrier, write the use case in `src/messaging/`; if it only reads, write the query in
//!    `src/store/`. Both take and return domain types.
//! 3. Write `src/grpc/services/<service>/<rpc>.rs`: `parse`, and the handler (scope check, one call, encode).
//! 4. Add `mod <rpc>;` and the method to `src/grpc/services/<service>/mod.rs`.
//! 5. For new domain types, add the conversion to `src/grpc/wire/convert.rs`.
//! 6. Write `tests/api/<service>/<rpc>.rs`. Tests that cover every RPC fail until the RPC is added to their tables:
//!    CONTRIBUTING.md lists these.
//! 7. For a new service: add it to `src/grpc/services/mod.rs` and to `services!` below, which routing, health and
//!    reflection follow.

#[cfg(test)]
mod fuzz;
pub mod middleware;
mod services;
pub mod wire;

use tonic::codec::CompressionEncoding;
use tonic::server::NamedService;
use tonic::service::{Routes, RoutesBuilder};

use crate::app::App;
use crate::auth::KeyCache;
use crate::proto::api_key_service_server::ApiKeyServiceServer;
use crate::proto::connection_service_server::ConnectionServiceServer;
use crate::proto::contact_rule_service_server::ContactRuleServiceServer;
use crate::proto::conversation_service_server::ConversationServiceServer;
use crate::proto::event_service_server::EventServiceServer;
use crate::proto::identity_service_server::IdentityServiceServer;
use crate::proto::message_service_server::MessageServiceServer;
use crate::proto::router_service_server::RouterServiceServer;
use crate::proto::sandbox_service_server::SandboxServiceServer;

macro_rules! services {
    (|$app:ident, $keys:ident| $($module:ident: $server:ident { $($field:ident),+ },)+) => {
        /// Full names of the services of the contract, as health and reflection report them.
        pub const SERVICES: &[&str] = &[$(<$server<services::$module::Service> as NamedService>::NAME),+];

        /// Routes of all services of the contract, for requests of at most `request_limit` bytes.
        #[must_use]
        pub fn routes($app: &App, $keys: &KeyCache, request_limit: usize) -> RoutesBuilder {
            let mut routes = Routes::builder();
            $(routes.add_service(
                $server::new(services::$module::Service { $($field: $field.clone()),+ })
                    .max_decoding_message_size(request_limit)
                    .max_encoding_message_size(crate::domain::MAX_RESPONSE_BYTES)
                    .accept_compressed(CompressionEncoding::Gzip)
                    .accept_compressed(CompressionEncoding::Zstd)
                    .send_compressed(CompressionEncoding::Gzip)
                    .send_compressed(CompressionEncoding::Zstd),
            );)+
            routes
        }
    };
}

services! { |app, keys|
    conversations: ConversationServiceServer { app },
    messages: MessageServiceServer { app },
    contact_rules: ContactRuleServiceServer { app },
    connections: ConnectionServiceServer { app },
    router: RouterServiceServer { app },
    identities: IdentityServiceServer { app, keys },
    api_keys: ApiKeyServiceServer { app, keys },
    events: EventServiceServer { app, keys },
    sandbox: SandboxServiceServer { app },
}
