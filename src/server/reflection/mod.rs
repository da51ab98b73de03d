//! Server reflection, v1 and v1alpha, so that tools such as grpcurl need no proto files.
//!
//! The service is our own, because that of tonic-reflection ends its stream at the first symbol that it does not know
//! (<https://github.com/grpc/grpc-rust/issues/1720>), where the protocol has an error for one request. It also runs a task
//! for each stream, which nothing supervises.

mod index;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt as _};
use http::{Request, Uri};
use tonic::server::NamedService;
use tonic::{Code, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server::{ServerReflection, ServerReflectionServer};
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse,
    ServerReflectionRequest, ServerReflectionResponse, ServiceResponse,
};
use tower::Service;

use self::index::Index;
use crate::error::Error;
use crate::grpc::middleware::open_services::MAX_REQUEST_BYTES;
use crate::grpc::wire::status;
use crate::{grpc, proto};

/// What the service describes: the contract, health, reflection, and the details of errors, so that grpcurl can print them.
const DESCRIPTORS: [&[u8]; 5] = [
    proto::FILE_DESCRIPTOR_SET,
    tonic_health::pb::FILE_DESCRIPTOR_SET,
    tonic_types::pb::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
    tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
];

/// # Errors
/// If the compiled proto files cannot be decoded.
pub(super) fn service() -> Result<ServerReflectionServer<Reflection>, prost::DecodeError> {
    let index = Arc::new(Index::new(&DESCRIPTORS)?);
    Ok(ServerReflectionServer::new(Reflection { index }).max_decoding_message_size(MAX_REQUEST_BYTES))
}

pub(super) struct Reflection {
    index: Arc<Index>,
}

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream =
        Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send>>;

    async fn server_reflection_info(
        &self,
        request: tonic::Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let index = self.index.clone();
        // A request is read when the response to the one before has been sent, so that nothing accumulates.
        let responses = request.into_inner().map(move |request| match request {
            Ok(request) => Ok(answer(&index, request)),
            Err(unreadable) => Err(status::from_error(&unreadable_request(&unreadable), "")),
        });
        Ok(Response::new(Box::pin(responses)))
    }
}

/// The error behind a status of tonic's decoder, which has no details.
fn unreadable_request(status: &Status) -> Error {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => {
            Error::TooLarge { what: "request", limit: MAX_REQUEST_BYTES }
        }
        _ => Error::invalid("", "malformed gRPC frame, or not compressed as declared"),
    }
}

fn answer(index: &Index, request: ServerReflectionRequest) -> ServerReflectionResponse {
    let answer = match &request.message_request {
        Some(MessageRequest::FileByFilename(name)) => index.file(name).map(file),
        Some(MessageRequest::FileContainingSymbol(name)) => {
            index.symbol(name).map(|symbol| file(&symbol.file))
        }
        Some(MessageRequest::AllExtensionNumbersOfType(name)) => {
            // No file has extensions.
            index.symbol(name).filter(|symbol| symbol.is_message).map(|_| {
                MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number: Vec::new(),
                })
            })
        }
        Some(MessageRequest::FileContainingExtension(_)) => None,
        Some(MessageRequest::ListServices(_)) => Some(list_services()),
        None => Some(error(Code::InvalidArgument, "the request names nothing that is asked for")),
    };
    let answer = answer.unwrap_or_else(|| {
        error(Code::NotFound, "no such file, symbol or extension; names are complete and have no leading dot")
    });
    ServerReflectionResponse {
        valid_host: request.host.clone(),
        original_request: Some(request),
        message_response: Some(answer),
    }
}

fn file(descriptor: &bytes::Bytes) -> MessageResponse {
    let file_descriptor_proto = vec![descriptor.to_vec()];
    MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
}

fn list_services() -> MessageResponse {
    let names = grpc::SERVICES.iter().chain(&[tonic_health::pb::health_server::SERVICE_NAME]);
    let service = names.map(|name| ServiceResponse { name: (*name).to_owned() }).collect();
    MessageResponse::ListServicesResponse(ListServiceResponse { service })
}

fn error(code: Code, message: &str) -> MessageResponse {
    let (error_code, error_message) = (code.into(), message.to_owned());
    MessageResponse::ErrorResponse(ErrorResponse { error_code, error_message })
}

const V1_PATH: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1ALPHA_PATH: &str = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

/// Serves v1alpha with the service of v1: v1 renamed the package and changed no field.
#[derive(Clone)]
pub(super) struct V1Alpha<S>(pub(super) S);

impl<S> NamedService for V1Alpha<S> {
    const NAME: &'static str = "grpc.reflection.v1alpha.ServerReflection";
}

impl<B, S: Service<Request<B>>> Service<Request<B>> for V1Alpha<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if request.uri().path() == V1ALPHA_PATH {
            *request.uri_mut() = Uri::from_static(V1_PATH);
        }
        self.0.call(request)
    }
}
