use std::collections::BTreeSet;

use inkbox_imessage::proto::conversation_service_server::SERVICE_NAME;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use super::contract::table;
use crate::support::TestApp;

/// What reflection has to list.
fn served() -> BTreeSet<String> {
    let rpcs = table();
    let ours = rpcs.iter().map(|rpc| rpc.service().to_owned());
    ours.chain(["grpc.health.v1.Health".to_owned()]).collect()
}

#[tokio::test]
async fn health_needs_no_key_and_takes_no_notice_of_a_wrong_one() {
    let app = TestApp::start().await;
    for service in ["", SERVICE_NAME] {
        assert_eq!(app.health(service).await, Some("SERVING"));
        let asked = HealthCheckRequest { service: service.to_owned() };
        let mut client = HealthClient::new(app.channel());
        let answer = client.check(app.with_secret("garbage").request(asked)).await.unwrap();
        assert!(answer.metadata().contains_key("x-request-id"));
    }
    for service in served().iter().filter(|service| !service.starts_with("grpc.")) {
        assert_eq!(app.health(service).await, Some("SERVING"), "{service}");
    }
}

macro_rules! reflection_test {
    ($name:ident, $version:ident) => {
        #[tokio::test]
        async fn $name() {
            use $version::server_reflection_client::ServerReflectionClient;
            use $version::server_reflection_request::MessageRequest;
            use $version::server_reflection_response::MessageResponse;

            let app = TestApp::start().await;
            let ask = $version::ServerReflectionRequest {
                host: String::new(),
                message_request: Some(MessageRequest::ListServices(String::new())),
            };
            let mut client = ServerReflectionClient::new(app.channel());
            let answer = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap();
            assert!(answer.metadata().contains_key("x-request-id"));
            let answer = answer.into_inner().message().await.unwrap().unwrap();
            let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
                panic!("not a list: {answer:?}");
            };
            let listed: BTreeSet<String> = list.service.into_iter().map(|service| service.name).collect();
            assert_eq!(listed, served());
        }
    };
}

reflection_test!(reflection_v1_needs_no_key_and_lists_what_is_served_and_health, v1);
reflection_test!(reflection_v1alpha_needs_no_key_and_lists_what_is_served_and_health, v1alpha);
