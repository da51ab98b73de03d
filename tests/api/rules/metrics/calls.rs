//! Calls: how many, how they ended, how long they took.

use inkbox_imessage::proto::identity_service_client::IdentityServiceClient;
use inkbox_imessage::proto::{
    CreateIdentityRequest, GetConversationRequest, ListConversationsRequest, SendTypingIndicatorRequest,
    WhoAmIRequest,
};
use tonic::Code;
use tonic::codegen::http::uri::PathAndQuery;
use uuid::Uuid;

use crate::support::metrics::Scrape;
use crate::support::{Human, TestApp, assert_reason, eventually};

const CONVERSATIONS: &str = "inkbox.imessage.v1.ConversationService";

async fn requests(app: &TestApp, method: &str, code: Code) -> Option<f64> {
    let code = format!("{code:?}");
    let labels = [("service", CONVERSATIONS), ("method", method), ("code", &code)];
    Scrape::of(app.metrics).await.value("inkbox_grpc_requests_total", &labels)
}

#[tokio::test]
async fn each_call_is_counted_once_by_method_and_code_and_timed() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (agent, router, stranger) = (app.agent(&identity).await, app.router().await, app.stranger());
    // Before the first call of it, so that the first failure shows as one.
    assert_eq!(requests(&app, "ListConversations", Code::Unauthenticated).await, Some(0.0));

    let list = ListConversationsRequest::default();
    for _ in 0..3 {
        agent.list_conversations(list.clone()).await.unwrap();
    }
    stranger.list_conversations(list.clone()).await.unwrap_err();
    stranger.list_conversations(list.clone()).await.unwrap_err();
    router.list_conversations(list.clone()).await.unwrap_err();
    let malformed = ListConversationsRequest { page_token: "no token".to_owned(), ..list };
    agent.list_conversations(malformed).await.unwrap_err();
    let unknown =
        GetConversationRequest { conversation_id: Uuid::from_u128(1).to_string(), agent_identity_id: None };
    agent.get_conversation(unknown).await.unwrap_err();

    for (method, code, calls) in [
        ("ListConversations", Code::Ok, 3.0),
        ("ListConversations", Code::Unauthenticated, 2.0),
        ("ListConversations", Code::PermissionDenied, 1.0),
        ("ListConversations", Code::InvalidArgument, 1.0),
        ("ListConversations", Code::NotFound, 0.0),
        ("GetConversation", Code::NotFound, 1.0),
        ("GetConversation", Code::Ok, 0.0),
    ] {
        assert_eq!(requests(&app, method, code).await, Some(calls), "{method} {code:?}");
    }
    let scrape = Scrape::of(app.metrics).await;
    let of_list = [("service", CONVERSATIONS), ("method", "ListConversations")];
    assert_eq!(scrape.value("inkbox_grpc_request_duration_seconds_count", &of_list), Some(7.0));
    assert!(scrape.value("inkbox_grpc_request_duration_seconds_sum", &of_list).unwrap() > 0.0);
    for (reason, calls) in [
        ("API_KEY_INVALID", 2.0),
        ("SCOPE_INSUFFICIENT", 1.0),
        ("INVALID_ARGUMENT", 1.0),
        ("NOT_FOUND", 1.0),
        ("INTERNAL", 0.0),
    ] {
        assert_eq!(scrape.value("inkbox_grpc_errors_total", &[("reason", reason)]), Some(calls), "{reason}");
    }
    assert_eq!(scrape.value("inkbox_grpc_panics_total", &[]), Some(0.0));
}

#[tokio::test]
async fn a_handler_that_panics_is_counted_as_one_and_as_an_internal_error() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    app.clock.panic_at_the_next_id();
    let request = CreateIdentityRequest { agent_handle: "boom".to_owned(), ..Default::default() };
    // With an id of its own: else the panic would meet the id that the service gives the call.
    let mut request = admin.request(request);
    request.metadata_mut().insert("x-request-id", "mine-1".parse().unwrap());
    let mut client = IdentityServiceClient::new(admin.channel.clone());
    assert_reason(client.create_identity(request).await, "INTERNAL");
    let scrape = Scrape::of(app.metrics).await;
    assert_eq!(scrape.value("inkbox_grpc_panics_total", &[]), Some(1.0));
    assert_eq!(scrape.value("inkbox_grpc_errors_total", &[("reason", "INTERNAL")]), Some(1.0));
}

#[tokio::test]
async fn every_method_that_is_served_has_its_series_from_the_start() {
    let app = TestApp::start().await;
    let scrape = Scrape::of(app.metrics).await;
    let descriptors = inkbox_imessage::proto::FILE_DESCRIPTOR_SET;
    let files: prost_types::FileDescriptorSet = prost::Message::decode(descriptors).unwrap();
    let mut methods = vec![("grpc.health.v1.Health".to_owned(), "Check".to_owned())];
    for service in
        files.file.iter().filter(|file| file.package() == "inkbox.imessage.v1").flat_map(|file| &file.service)
    {
        let name = format!("inkbox.imessage.v1.{}", service.name());
        methods.extend(service.method.iter().map(|method| (name.clone(), method.name().to_owned())));
    }
    assert!(methods.len() > 25, "{methods:?}");
    for (service, method) in &methods {
        let labels = [("service", service.as_str()), ("method", method.as_str())];
        for name in ["inkbox_grpc_requests_total", "inkbox_grpc_requests_in_flight"] {
            assert!(scrape.value(name, &labels).is_some(), "{name} of {service}/{method}");
        }
    }
}

#[tokio::test]
async fn a_path_that_is_not_served_is_counted_as_unknown_whatever_it_says() {
    let app = TestApp::start().await;
    let mut client = tonic::client::Grpc::new(app.channel());
    client.ready().await.unwrap();
    let path = PathAndQuery::from_static("/v1.conversations/+15551230001");
    let codec = tonic_prost::ProstCodec::<WhoAmIRequest, WhoAmIRequest>::default();
    let answer = client.unary(tonic::Request::new(WhoAmIRequest {}), path, codec).await;
    let code = answer.unwrap_err().code();

    let scrape = Scrape::of(app.metrics).await;
    let labels = [("service", "unknown"), ("method", "unknown"), ("code", &*format!("{code:?}"))];
    assert_eq!(scrape.value("inkbox_grpc_requests_total", &labels), Some(1.0));
    assert!(!scrape.text.contains("15551230001"), "{}", scrape.text);
}

#[tokio::test]
async fn a_call_whose_caller_went_away_is_counted_as_cancelled_and_is_in_flight_no_more() {
    // The sandbox never answers this number, and is not given up on during the test.
    let app = TestApp::with(|settings| settings.line_time_out = std::time::Duration::from_mins(1)).await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15005550004").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let labels = [("service", CONVERSATIONS), ("method", "SendTypingIndicator")];
    let in_flight = async || {
        let scrape = Scrape::of(app.metrics).await;
        let calls = scrape.value("inkbox_grpc_requests_in_flight", &labels).unwrap();
        (calls, scrape.value("inkbox_line_calls_in_flight", &[("carrier", "sandbox")]).unwrap_or_default())
    };
    assert_eq!(in_flight().await, (0.0, 0.0));

    let call = tokio::spawn(async move {
        agent
            .send_typing_indicator(SendTypingIndicatorRequest { conversation_id: id, ..Default::default() })
            .await
    });
    eventually("the call is at the line", async || (in_flight().await == (1.0, 1.0)).then_some(())).await;
    assert_eq!(requests(&app, "SendTypingIndicator", Code::Cancelled).await, Some(0.0));
    call.abort();
    eventually("the call has ended", async || (in_flight().await == (0.0, 0.0)).then_some(())).await;

    assert_eq!(requests(&app, "SendTypingIndicator", Code::Cancelled).await, Some(1.0));
    let abandoned = [("carrier", "sandbox"), ("action", "typing"), ("outcome", "abandoned")];
    assert_eq!(Scrape::of(app.metrics).await.value("inkbox_line_calls_total", &abandoned), Some(1.0));
}

#[tokio::test]
async fn a_stream_is_in_flight_until_its_end_and_ends_as_cancelled_where_its_caller_went_away() {
    let app = TestApp::start().await;
    let watch = [("service", "grpc.health.v1.Health"), ("method", "Watch")];
    let cancelled = [watch[0], watch[1], ("code", "Cancelled")];
    let calls = async || {
        let scrape = Scrape::of(app.metrics).await;
        let ended = scrape.value("inkbox_grpc_request_duration_seconds_count", &watch).unwrap();
        let cancelled = scrape.value("inkbox_grpc_requests_total", &cancelled).unwrap();
        (scrape.value("inkbox_grpc_requests_in_flight", &watch).unwrap(), ended, cancelled)
    };
    let mut client = tonic_health::pb::health_client::HealthClient::new(app.channel());
    let request = tonic_health::pb::HealthCheckRequest::default();
    let mut stream = client.watch(request).await.unwrap().into_inner();
    stream.message().await.unwrap().unwrap();
    assert_eq!(calls().await, (1.0, 0.0, 0.0), "its head and first message are out, and it goes on");
    drop(stream);
    eventually("the stream has ended", async || (calls().await == (0.0, 1.0, 1.0)).then_some(())).await;
}

#[tokio::test]
async fn an_answer_that_fails_after_its_head_is_counted_by_its_real_code() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (thread, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    // 200 of the longest texts make an answer that is longer than what clients take.
    let words = "\u{1d11e}".repeat(18_996);
    let human = Human::new(&app, "+15551230001").await;
    for _ in 0..60 {
        human.says(&thread, &words).await;
    }
    let request = inkbox_imessage::proto::ListMessagesRequest {
        conversation_id: Some(id),
        limit: Some(200),
        ..Default::default()
    };
    let code = app.agent(&identity).await.list_messages(request).await.unwrap_err().code();
    assert_ne!(code, Code::Ok);
    let code = format!("{code:?}");
    let labels = [("method", "ListMessages"), ("code", &*code)];
    let scrape = Scrape::of(app.metrics).await;
    assert_eq!(scrape.value("inkbox_grpc_requests_total", &labels), Some(1.0), "{code}");
    let ok = [("method", "ListMessages"), ("code", "Ok")];
    assert_eq!(scrape.value("inkbox_grpc_requests_total", &ok), Some(0.0));
}
