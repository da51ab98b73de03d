use inkbox_imessage::proto::{Message, SendMessageRequest};

use super::{keyed, messages_of, send, to_conversation};
use crate::carriers::Scene as CarrierScene;
use crate::support::assertions::assert_fields;
use crate::support::carrier::reply as response;
use crate::support::{Human, TestApp, assert_reason};

fn reply(conversation_id: &str, text: &str, to: &Message) -> SendMessageRequest {
    SendMessageRequest { reply_to_message_id: Some(to.id.clone()), ..to_conversation(conversation_id, text) }
}

#[tokio::test]
async fn a_reply_refers_to_a_message_of_either_side() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let question = messages_of(&agent, &id).await.remove(0);
    for to in [question, send(&agent, &id, "hi").await] {
        let sent = agent.send_message(reply(&id, "an answer", &to)).await.unwrap().message.unwrap();
        assert_eq!(sent.reply_to_message_id, Some(to.id));
        assert_eq!(messages_of(&agent, &id).await[0], sent);
    }
}

#[tokio::test]
async fn a_reply_to_a_message_that_is_not_visible_or_of_another_conversation_is_rejected() {
    let app = TestApp::start().await;
    let (identity, other) = (app.identity("org_a").await, app.identity("org_b").await);
    let agent = app.agent(&identity).await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let (_, second) = Human::new(&app, "+15551230002").await.converses(&identity, "hello").await;
    let (_, foreign) = Human::new(&app, "+15551230003").await.converses(&other, "hello").await;
    let foreign = messages_of(&app.agent(&other).await, &foreign).await.remove(0);
    let answer = agent.send_message(reply(&id, "x", &foreign)).await;
    assert_reason(answer, "NOT_FOUND");
    let elsewhere = messages_of(&agent, &second).await.remove(0);
    let answer = agent.send_message(reply(&id, "x", &elsewhere)).await;
    assert_fields(answer, &["reply_to_message_id"]);
    let malformed =
        SendMessageRequest { reply_to_message_id: Some("nonsense".to_owned()), ..to_conversation(&id, "x") };
    assert_fields(agent.send_message(malformed).await, &["reply_to_message_id"]);
    assert_eq!(messages_of(&agent, &id).await.len(), 1);
}

#[tokio::test]
async fn a_reply_is_part_of_what_an_idempotency_key_stands_for() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let (_, id) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let question = messages_of(&agent, &id).await.remove(0);
    let request = keyed(reply(&id, "x", &question), "k");
    let first = agent.send_message(request.clone()).await.unwrap().message.unwrap();
    let again = agent.send_message(request.clone()).await.unwrap().message.unwrap();
    assert_eq!((&again.id, &again.reply_to_message_id), (&first.id, &first.reply_to_message_id));
    for other in
        [keyed(to_conversation(&id, "x"), "k"), SendMessageRequest { plain_reply_fallback: true, ..request }]
    {
        let answer = agent.send_message(other).await;
        assert_reason(answer, "IDEMPOTENCY_KEY_REUSED");
    }
}

#[tokio::test]
async fn a_reply_at_sendblue_names_the_message_by_its_handle() {
    let scene = CarrierScene::sendblue().await;
    scene.carrier.respond(
        "/send-message",
        [response(200, r#"{"status":"QUEUED","message_handle":"H-1","error_code":null}"#)],
    );
    let first = send(&scene.agent, &scene.id, "hi").await;
    let sent = scene.agent.send_message(reply(&scene.id, "and?", &first)).await.unwrap().message.unwrap();
    assert_eq!(sent.reply_to_message_id, Some(first.id));
    let (_, body) = scene.carrier.requests().pop().unwrap();
    let expected = r#"{"number":"+15551230001","from_number":"+12025550111","content":"and?","reply_to":{"message_handle":"H-1","part_index":0}}"#;
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_reply_to_a_message_that_the_carrier_never_named_is_rejected_or_sent_as_an_ordinary_message() {
    let scene = CarrierScene::sendblue().await;
    let queued = response(200, r#"{"status":"QUEUED","message_handle":"H-1","error_code":null}"#);
    scene.carrier.respond("/send-message", [response(504, ""), queued]);
    scene.carrier.respond("/messages", [response(200, r#"{"data":[]}"#)]);
    let pending = send(&scene.agent, &scene.id, "hi").await;
    let request = keyed(reply(&scene.id, "x", &pending), "k");
    let answer = scene.agent.send_message(request.clone()).await;
    assert_reason(answer, "NOT_SUPPORTED_BY_CARRIER");
    assert_eq!(messages_of(&scene.agent, &scene.id).await.len(), 2);
    let plain = SendMessageRequest { plain_reply_fallback: true, ..request };
    let sent = scene.agent.send_message(plain).await.unwrap().message.unwrap();
    assert_eq!((sent.text(), &sent.reply_to_message_id), ("x", &None));
}
