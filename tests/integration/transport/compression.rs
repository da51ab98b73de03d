use inkbox_imessage::proto::conversation_service_client::ConversationServiceClient;
use inkbox_imessage::proto::message_service_client::MessageServiceClient;
use inkbox_imessage::proto::{ListConversationsRequest, ListMessagesRequest, SendMessageRequest};
use tokio::net::TcpStream;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tonic_types::StatusExt as _;

use crate::support::callers::Caller;
use crate::support::{Human, TestApp, assert_reason};

const ENCODINGS: [(CompressionEncoding, &str); 2] =
    [(CompressionEncoding::Gzip, "gzip"), (CompressionEncoding::Zstd, "zstd")];

#[tokio::test]
async fn requests_may_be_compressed_and_are_measured_unpacked() {
    let app = TestApp::with(|settings| settings.calls.request = 100_000).await;
    let admin = app.admin("org_a").await;
    for (encoding, _) in ENCODINGS {
        let mut lists = ConversationServiceClient::new(admin.channel.clone()).send_compressed(encoding);
        lists.list_conversations(admin.request(ListConversationsRequest::default())).await.unwrap();
        // Packed, it is a few hundred bytes.
        let request = SendMessageRequest { text: Some("x".repeat(200_000)), ..Default::default() };
        let mut sends = MessageServiceClient::new(admin.channel.clone()).send_compressed(encoding);
        assert_reason(sends.send_message(admin.request(request)).await, "TOO_LARGE");
    }
}

#[tokio::test]
async fn large_answers_are_compressed_for_clients_that_take_it() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+12025550199").await;
    let (thread, conversation_id) = human.converses(&identity, "hello").await;
    human.says(&thread, &"long ".repeat(1_000)).await;
    let agent = app.agent(&identity).await;
    let list = |limit| {
        let conversation_id = Some(conversation_id.clone());
        agent.request(ListMessagesRequest { conversation_id, limit: Some(limit), ..Default::default() })
    };
    for (encoding, name) in ENCODINGS {
        let mut client = MessageServiceClient::new(agent.channel.clone()).accept_compressed(encoding);
        let large = client.list_messages(list(1)).await.unwrap();
        assert_eq!(large.metadata().get("grpc-encoding").unwrap(), name);
        assert_eq!(large.into_inner().messages[0].text.as_ref().unwrap().len(), 5_000);
        assert_eq!(is_packed(&app, &agent, name, list(1).into_inner()).await, 1);
        let nothing = ListMessagesRequest { offset: Some(5), ..list(1).into_inner() };
        assert_eq!(is_packed(&app, &agent, name, nothing).await, 0, "small ones are not worth it");
    }
    let mut client = MessageServiceClient::new(agent.channel.clone());
    assert!(client.list_messages(list(1)).await.unwrap().metadata().get("grpc-encoding").is_none());
}

#[tokio::test]
async fn a_message_that_cannot_be_unpacked_or_breaks_off_is_the_callers_mistake_and_says_so() {
    let app = TestApp::start().await;
    let agent = app.admin("org_a").await;
    for (name, body) in [
        ("packed, but it is not", [&[1, 0, 0, 0, 4][..], b"\xff\xff\xff\xff"].concat()),
        ("no such flag", vec![7, 0, 0, 0, 0]),
        ("longer than it is", vec![0, 0, 0, 0, 200, 1]),
    ] {
        let answer = list_messages(&app, &agent, ("grpc-encoding", "gzip"), body).await;
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert!(status.get_details_bad_request().is_some(), "{name}: {status:?}");
        assert_reason(Err::<(), _>(status), "INVALID_ARGUMENT");
    }
}

/// The flag before an answer's message: 1 where it is compressed.
async fn is_packed(app: &TestApp, agent: &Caller, encoding: &str, message: ListMessagesRequest) -> u8 {
    let message = prost::Message::encode_to_vec(&message);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let body = [&[0][..], &length, &message].concat();
    let mut answer = list_messages(app, agent, ("grpc-accept-encoding", encoding), body).await;
    answer.body_mut().data().await.unwrap().unwrap()[0]
}

/// Calls `ListMessages` with these bytes for a body.
async fn list_messages(
    app: &TestApp,
    agent: &Caller,
    (header, value): (&str, &str),
    body: Vec<u8>,
) -> http::Response<h2::RecvStream> {
    let stream = TcpStream::connect(app.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    // Ends with the client's last handle.
    tokio::spawn(connection);
    let request =
        http::Request::post(format!("http://{}/inkbox.imessage.v1.MessageService/ListMessages", app.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header(header, value)
            .header("x-api-key", agent.secret.as_ref().unwrap())
            .body(())
            .unwrap();
    let (answer, mut stream) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    stream.send_data(body.into(), true).unwrap();
    answer.await.unwrap()
}
