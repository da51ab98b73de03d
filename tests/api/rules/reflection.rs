use futures_util::stream;
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic::Code;

use crate::support::TestApp;

const FILE: &str = "inkbox/imessage/v1/errors.proto";

macro_rules! reflection_tests {
    ($name:ident, $version:ident) => {
        mod $name {
            use tonic_reflection::pb::$version;

            use super::*;
            use $version::server_reflection_client::ServerReflectionClient;
            use $version::server_reflection_request::MessageRequest;
            use $version::server_reflection_response::MessageResponse;
            use $version::{ExtensionRequest, ServerReflectionRequest};

            /// Asks all of this on one stream.
            async fn ask(app: &TestApp, questions: Vec<Option<MessageRequest>>) -> Vec<MessageResponse> {
                let requests: Vec<_> = questions
                    .into_iter()
                    .map(|message_request| ServerReflectionRequest {
                        host: "host".to_owned(),
                        message_request,
                    })
                    .collect();
                let mut client = ServerReflectionClient::new(app.channel());
                let answers = client.server_reflection_info(stream::iter(requests.clone())).await.unwrap();
                let mut answers = answers.into_inner();
                let mut found = Vec::new();
                for request in requests {
                    let answer = answers.message().await.unwrap().expect("an answer to each request");
                    assert_eq!(answer.valid_host, "host");
                    assert_eq!(answer.original_request, Some(request));
                    found.push(answer.message_response.unwrap());
                }
                assert!(answers.message().await.unwrap().is_none());
                found
            }

            #[tokio::test]
            async fn an_error_is_an_answer_and_the_stream_stays_open() {
                let app = TestApp::start().await;
                let extension = ExtensionRequest {
                    containing_type: "inkbox.imessage.v1.Message".to_owned(),
                    extension_number: 1,
                };
                let not_found = [
                    MessageRequest::FileContainingSymbol("no.such.Thing".to_owned()),
                    MessageRequest::FileContainingSymbol(".inkbox.imessage.v1.Message".to_owned()),
                    MessageRequest::FileByFilename("no/such.proto".to_owned()),
                    MessageRequest::FileContainingExtension(extension),
                    MessageRequest::AllExtensionNumbersOfType("no.such.Thing".to_owned()),
                ];
                let known = MessageRequest::FileByFilename(FILE.to_owned());
                let mut questions: Vec<_> = not_found.into_iter().map(Some).collect();
                questions.extend([None, Some(known)]);
                let mut answers = ask(&app, questions).await;
                assert!(matches!(answers.pop(), Some(MessageResponse::FileDescriptorResponse(_))));
                let codes: Vec<_> = answers
                    .into_iter()
                    .map(|answer| match answer {
                        MessageResponse::ErrorResponse(error) if !error.error_message.is_empty() => {
                            Code::from(error.error_code)
                        }
                        other => panic!("no error: {other:?}"),
                    })
                    .collect();
                let mut expected = vec![Code::NotFound; 5];
                expected.push(Code::InvalidArgument);
                assert_eq!(codes, expected);
            }

            #[tokio::test]
            async fn every_kind_of_symbol_leads_to_its_file() {
                let app = TestApp::start().await;
                let symbols = [
                    ("inkbox.imessage.v1.ErrorReason", FILE),
                    ("inkbox.imessage.v1.ERROR_REASON_NOT_FOUND", FILE),
                    ("inkbox.imessage.v1.MessageService", "inkbox/imessage/v1/message_service.proto"),
                    (
                        "inkbox.imessage.v1.MessageService.SendMessage",
                        "inkbox/imessage/v1/message_service.proto",
                    ),
                    (
                        "inkbox.imessage.v1.SendMessageRequest.target",
                        "inkbox/imessage/v1/message_service.proto",
                    ),
                    (
                        "inkbox.imessage.v1.SendMessageRequest.text",
                        "inkbox/imessage/v1/message_service.proto",
                    ),
                    ("google.protobuf.Timestamp", "google/protobuf/timestamp.proto"),
                ];
                let ask_for = |(symbol, _): &(&str, &str)| {
                    Some(MessageRequest::FileContainingSymbol((*symbol).to_owned()))
                };
                let answers = ask(&app, symbols.iter().map(ask_for).collect()).await;
                for ((symbol, path), answer) in symbols.iter().zip(answers) {
                    let MessageResponse::FileDescriptorResponse(found) = answer else {
                        panic!("{symbol}: {answer:?}");
                    };
                    let file = FileDescriptorProto::decode(&*found.file_descriptor_proto[0]).unwrap();
                    assert_eq!(file.name(), *path, "{symbol}");
                }
                let of = "inkbox.imessage.v1.SendMessageRequest".to_owned();
                let answer = ask(&app, vec![Some(MessageRequest::AllExtensionNumbersOfType(of))]).await;
                assert!(matches!(&answer[0], MessageResponse::AllExtensionNumbersResponse(_)), "{answer:?}");
            }
        }
    };
}

reflection_tests!(of_v1, v1);
reflection_tests!(of_v1alpha, v1alpha);
