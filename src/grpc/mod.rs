//! The gRPC API. A handler parses the request, makes one call inward, and encodes the response.
//!
//! One folder per service, one file per RPC. To add an RPC:
//!
//! 1. Write its file. Its `parse` reports all invalid fields at once.
//! 2. Add it to the service's `mod.rs`; a new service also to `services!` below, which health and reflection follow.
//! 3. Write the test of the same name under `tests/api`.

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
                    .max_encoding_message_size(wire::unary::ANSWER_LIMIT)
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
    identities: IdentityServiceServer { app },
    api_keys: ApiKeyServiceServer { app, keys },
    sandbox: SandboxServiceServer { app },
}
