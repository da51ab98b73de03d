use inkbox_imessage::proto::conversation_service_client::ConversationServiceClient;
use inkbox_imessage::proto::message_service_client::MessageServiceClient;
use inkbox_imessage::proto::{ListConversationsRequest, ListMessagesRequest, SendMessageRequest};
use tokio::net::TcpStream;
use tonic::codec::CompressionEncoding;

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

/// The flag before an answer's message: 1 where it is compressed.
async fn is_packed(app: &TestApp, agent: &Caller, encoding: &str, message: ListMessagesRequest) -> u8 {
    let stream = TcpStream::connect(app.address).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    let driving = tokio::spawn(connection);
    let request =
        http::Request::post(format!("http://{}/inkbox.imessage.v1.MessageService/ListMessages", app.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-accept-encoding", encoding)
            .header("x-api-key", agent.secret.as_ref().unwrap())
            .body(())
            .unwrap();
    let (answer, mut body) = sender.ready().await.unwrap().send_request(request, false).unwrap();
    let message = prost::Message::encode_to_vec(&message);
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    body.send_data([&[0][..], &length, &message].concat().into(), true).unwrap();
    let first: bytes::Bytes = answer.await.unwrap().into_body().data().await.unwrap().unwrap();
    driving.abort();
    first[0]
}
