//! The gRPC face: parse the request, make one call inward, encode the answer.
//!
//! One folder a service, one file an RPC. To add an RPC: write its file (its `parse` names every wrong field at
//! once), name it in the service's `mod.rs`, register the service in [`routes`], and write the test of the same
//! name under `tests/api`.

#[cfg(test)]
mod fuzz;
pub mod middleware;
mod services;
pub mod wire;

use tonic::codec::CompressionEncoding;
use tonic::service::Routes;

use crate::app::App;
use crate::grpc::middleware::auth::KeyRing;
use crate::proto::api_key_service_server::ApiKeyServiceServer;
use crate::proto::connection_service_server::ConnectionServiceServer;
use crate::proto::contact_rule_service_server::ContactRuleServiceServer;
use crate::proto::conversation_service_server::ConversationServiceServer;
use crate::proto::identity_service_server::IdentityServiceServer;
use crate::proto::message_service_server::MessageServiceServer;
use crate::proto::router_service_server::RouterServiceServer;
use crate::proto::sandbox_service_server::SandboxServiceServer;

macro_rules! services {
    ($request_limit:expr, $(($server:ident, $service:expr),)+) => {{
        let mut routes = Routes::builder();
        $(routes.add_service(
            $server::new($service)
                .max_decoding_message_size($request_limit)
                .max_encoding_message_size(wire::unary::ANSWER_LIMIT)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .send_compressed(CompressionEncoding::Gzip)
                .send_compressed(CompressionEncoding::Zstd),
        );)+
        routes
    }};
}

/// All services of the contract that this program implements, for requests of at most `request_limit` bytes.
#[must_use]
pub fn routes(app: &App, keys: &KeyRing, request_limit: usize) -> tonic::service::RoutesBuilder {
    services![
        request_limit,
        (ConversationServiceServer, services::conversations::Service { app: app.clone() }),
        (MessageServiceServer, services::messages::Service { app: app.clone() }),
        (ContactRuleServiceServer, services::contact_rules::Service { app: app.clone() }),
        (ConnectionServiceServer, services::connections::Service { app: app.clone() }),
        (RouterServiceServer, services::router::Service { app: app.clone() }),
        (IdentityServiceServer, services::identities::Service { app: app.clone() }),
        (ApiKeyServiceServer, services::api_keys::Service { app: app.clone(), keys: keys.clone() }),
        (SandboxServiceServer, services::sandbox::Service { app: app.clone() }),
    ]
}
