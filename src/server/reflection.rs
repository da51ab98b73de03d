//! Server reflection, v1 and v1alpha, so that tools such as grpcurl need no proto files.

use tonic_reflection::server::Builder;

use crate::{grpc, proto};

/// Describes the services of the contract and health, and the messages in the details of errors.
pub(super) fn builder() -> Builder<'static> {
    let mut builder = Builder::configure()
        .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // With these, grpcurl can print the details of an error.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
    for service in grpc::SERVICES {
        builder = builder.with_service_name(*service);
    }
    builder.with_service_name(tonic_health::pb::health_server::SERVICE_NAME)
}
