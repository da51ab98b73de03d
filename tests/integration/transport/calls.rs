use inkbox_imessage::proto::{ListMessagesRequest, ReceiveMessageRequest, SendMessageRequest};

use crate::support::{Human, TestApp, assert_fields, assert_reason};

/// The path of an RPC whose request has room.
const SEND: &str = "/inkbox.imessage.v1.MessageService/SendMessage";

fn request_of(bytes: usize) -> Vec<u8> {
    let mut request = SendMessageRequest { text: Some(String::new()), ..Default::default() };
    let around = prost::Message::encoded_len(&request);
    // The length of the text takes three bytes more than that of none.
    request.text = Some("x".repeat(bytes - around - 2));
    let encoded = prost::Message::encode_to_vec(&request);
    assert_eq!(encoded.len(), bytes);
    encoded
}

#[tokio::test]
async fn a_request_larger_than_the_bound_says_so_with_a_reason_and_who_calls_comes_first() {
    let app = TestApp::with(|settings| settings.calls.request = 100_000).await;
    let admin = app.admin("org_a").await;
    let details = assert_reason(admin.raw(SEND, request_of(100_001)).await, "TOO_LARGE");
    assert!(details.retry_info().is_none(), "trying again does not help");
    assert_reason(admin.raw(SEND, request_of(100_000)).await, "INVALID_ARGUMENT");
    assert_reason(app.stranger().raw(SEND, request_of(100_001)).await, "API_KEY_INVALID");
}

#[tokio::test]
async fn metadata_larger_than_the_bound_says_so_with_a_reason_and_the_connection_stays() {
    let app = TestApp::with(|settings| {
        settings.calls.metadata = 4_096;
        settings.connections.metadata = 4_096;
    })
    .await;
    let admin = app.admin("org_a").await;
    let call = async |bytes: usize| {
        let message = SendMessageRequest { text: Some("hello".to_owned()), ..Default::default() };
        let mut request = admin.request(prost::Message::encode_to_vec(&message).into());
        request.metadata_mut().insert("x-padding", "x".repeat(bytes).parse().unwrap());
        admin.send(SEND, request).await
    };
    assert_fields(call(3_000).await, &["target"]);
    assert_reason(call(4_200).await, "TOO_LARGE");
    // HTTP/2 itself refuses this with the status 431, which gRPC has no word for.
    assert!(call(9_000).await.is_err());
    assert_fields(call(3_000).await, &["target"]);
}

#[tokio::test]
async fn an_answer_larger_than_clients_take_says_so_with_a_reason() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+12025550199").await;
    let (thread, conversation_id) = human.converses(&identity, "hello").await;
    let long = "\u{1f600}".repeat(18_000);
    for _ in 0..60 {
        let text = ReceiveMessageRequest { text: Some(long.clone()), ..human.text(&thread.line, "") };
        human.router.receive_message(text).await.unwrap();
    }
    let agent = app.agent(&identity).await;
    let list = |limit| ListMessagesRequest {
        conversation_id: Some(conversation_id.clone()),
        limit: Some(limit),
        ..Default::default()
    };
    assert_reason(agent.list_messages(list(61)).await, "TOO_LARGE");
    assert_eq!(agent.list_messages(list(40)).await.unwrap().messages.len(), 40);
}

#[tokio::test]
async fn liveness_is_serving_while_the_database_is_not_there() {
    let nowhere = sqlx::postgres::PgConnectOptions::new().host("127.0.0.1").port(1);
    let app = TestApp::builder().database(nowhere).launch().await;
    for (service, status) in [("liveness", "SERVING"), ("readiness", "NOT_SERVING"), ("", "NOT_SERVING")] {
        assert_eq!(app.health(service).await, Some(status), "{service:?}");
    }
    let app = TestApp::start().await;
    for service in ["liveness", "readiness", ""] {
        assert_eq!(app.health(service).await, Some("SERVING"), "{service:?}");
    }
}
