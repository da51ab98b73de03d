use std::time::Duration;

use inkbox_imessage::proto::{
    CreateIdentityRequest, ListConversationsRequest, ListDeliveriesRequest, MarkConversationReadRequest,
    WhoAmIRequest,
};

use crate::support::{Human, TestApp, assert_reason, eventually};

/// The sandbox takes 2 s for this number.
const SLOW: &str = "+15005550003";

#[tokio::test]
async fn a_panic_is_an_internal_error_of_its_own_call_and_of_no_other() {
    let app = TestApp::with(|settings| settings.line_time_out = Duration::from_secs(10)).await;
    let identity = app.identity("org_a").await;
    let (_, conversation_id) = Human::new(&app, SLOW).await.converses(&identity, "hello").await;
    let admin = app.admin("org_a").await;

    // Another call on the same connection, under way while the panic happens.
    let beside = admin.clone();
    let marking = tokio::spawn(async move {
        beside
            .mark_conversation_read(MarkConversationReadRequest { conversation_id, ..Default::default() })
            .await
    });
    eventually("the other call is under way", async || {
        let deliveries = admin.list_deliveries(ListDeliveriesRequest::default()).await.unwrap().deliveries;
        (!deliveries.is_empty()).then_some(())
    })
    .await;

    app.clock.panic_at_the_next_id();
    let request = CreateIdentityRequest { agent_handle: "boom".to_owned(), ..Default::default() };
    let mut request = admin.request(request);
    request.metadata_mut().insert("x-request-id", "mine-1".parse().unwrap());
    let mut client =
        inkbox_imessage::proto::identity_service_client::IdentityServiceClient::new(admin.channel.clone());
    let details = assert_reason(client.create_identity(request).await, "INTERNAL");
    assert_eq!(details.request_info().unwrap().request_id, "mine-1");

    assert!(!marking.is_finished());
    assert_eq!(marking.await.unwrap().unwrap().updated_count, 1);
    assert!(admin.list_conversations(ListConversationsRequest::default()).await.is_ok());
    assert!(admin.who_am_i(WhoAmIRequest {}).await.is_ok());
}
