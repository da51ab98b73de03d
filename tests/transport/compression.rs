use inkbox_imessage::proto::conversation_service_client::ConversationServiceClient;
use inkbox_imessage::proto::message_service_client::MessageServiceClient;
use inkbox_imessage::proto::{ListConversationsRequest, ListMessagesRequest, SendMessageRequest};
use tonic::codec::CompressionEncoding;

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
        // With a small answer the packing is left out, message by message.
        let small = client.list_messages(list(200)).await.unwrap();
        assert_eq!(small.into_inner().messages.len(), 2);
    }
    let mut client = MessageServiceClient::new(agent.channel.clone());
    assert!(client.list_messages(list(1)).await.unwrap().metadata().get("grpc-encoding").is_none());
}
