use inkbox_imessage::proto::{
    DeliveryStatus, ReactionType, RemoveReactionRequest, SendMessageRequest, SendReactionRequest, SendStyle,
};

use super::{CALL_TIMEOUT, Scene, assert_upstream};
use crate::messages::{keyed, messages_of, send, to_conversation};
use crate::support::assert_reason;
use crate::support::carrier::reply;

pub(crate) const SENT: &str = r#"{"status":200,"message":"Message sent!","data":{"originalROWID":7,"guid":"6E1B0DAD-1F1B-4B1C-9F2B-0C6A7F9E3A10","text":"hi","handle":{"address":"+15551230001"},"isFromMe":true,"error":0,"dateCreated":1771280330123,"tempGuid":"0197"}}"#;
pub(crate) const READ: &str = r#"{"status":200,"message":"Successfully marked chat as read!"}"#;
const NO_HELPER: &str = r#"{"status":500,"message":"Please make sure you have completed the setup for the Private API, and your helper is connected!","error":{"type":"iMessage Error","message":"iMessage Private API Helper is not connected!"}}"#;
const NOT_SENT: &str = r#"{"status":500,"message":"Message Send Error","error":{"type":"iMessage Error","message":"Failed to send message! See attached message error code."},"data":{"guid":"6E1B0DAD","text":"hi","error":22,"isFromMe":true}}"#;

#[tokio::test]
async fn each_call_is_one_request_with_the_password() {
    let scene = Scene::mac(CALL_TIMEOUT).await;
    scene.carrier.respond("/read", [reply(200, READ)]);
    scene
        .carrier
        .respond("/typing", [reply(200, r#"{"status":200,"message":"Successfully started typing!"}"#)]);
    scene.carrier.respond("/text", [reply(200, SENT)]);
    scene.carrier.respond("/react", [reply(200, SENT)]);

    scene.mark_read().await.unwrap();
    scene.typing().await.unwrap();
    let styled =
        SendMessageRequest { send_style: SendStyle::Slam.into(), ..to_conversation(&scene.id, "hi") };
    let sent = scene.agent.send_message(styled).await.unwrap().message.unwrap();
    assert_eq!(sent.status(), DeliveryStatus::Queued);
    let reaction = SendReactionRequest {
        message_id: sent.id.clone(),
        reaction: ReactionType::Laugh.into(),
        part_index: 2,
    };
    let reaction = scene.agent.send_reaction(reaction).await.unwrap().reaction.unwrap();
    scene.agent.remove_reaction(RemoveReactionRequest { reaction_id: reaction.id }).await.unwrap();
    assert!(messages_of(&scene.agent, &scene.id).await[0].reactions.is_empty());

    let react = |name: &str| {
        format!(
            r#"{{"chatGuid":"iMessage;-;+15551230001","selectedMessageGuid":"6E1B0DAD-1F1B-4B1C-9F2B-0C6A7F9E3A10","reaction":"{name}","partIndex":2}}"#
        )
    };
    let text = format!(
        r#"{{"chatGuid":"iMessage;-;+15551230001","tempGuid":"{}","message":"hi","method":"private-api","effectId":"com.apple.MobileSMS.expressivesend.impact"}}"#,
        sent.id
    );
    let expected = [
        ("chat/iMessage;-;+15551230001/read", String::new()),
        ("chat/iMessage;-;+15551230001/typing", String::new()),
        ("message/text", text),
        ("message/react", react("laugh")),
        ("message/react", react("-laugh")),
    ];
    let expected = expected.map(|(path, body)| (format!("POST /api/v1/{path}?password=p%26ss+word"), body));
    assert_eq!(scene.carrier.requests(), expected);
}

#[tokio::test]
async fn a_file_is_rejected_before_anything_is_stored_and_the_idempotency_key_stays_free() {
    let scene = Scene::mac(CALL_TIMEOUT).await;
    scene.carrier.respond("/text", [reply(200, SENT)]);
    let with_file = SendMessageRequest {
        media_urls: vec!["https://files.example/cat.jpg".to_owned()],
        ..keyed(to_conversation(&scene.id, "hi"), "key")
    };
    assert_reason(scene.agent.send_message(with_file).await, "NOT_SUPPORTED_BY_CARRIER");
    assert!(scene.carrier.received().is_empty());
    assert_eq!(messages_of(&scene.agent, &scene.id).await.len(), 1, "the human's alone");
    scene.agent.send_message(keyed(to_conversation(&scene.id, "hi"), "key")).await.unwrap();
}

#[tokio::test]
async fn a_mac_without_the_private_api_is_a_permanent_error() {
    let scene = Scene::mac(CALL_TIMEOUT).await;
    scene.carrier.respond("/read", [reply(500, NO_HELPER)]);
    scene.carrier.respond("/text", [reply(500, NO_HELPER)]);
    assert_eq!(assert_upstream(scene.mark_read().await), None);
    assert_eq!(assert_upstream(scene.agent.send_message(to_conversation(&scene.id, "hi")).await), None);
    assert_eq!(messages_of(&scene.agent, &scene.id).await[0].status(), DeliveryStatus::Error);
}

#[tokio::test]
async fn an_error_code_of_the_messages_app_is_stored() {
    let scene = Scene::mac(CALL_TIMEOUT).await;
    scene.carrier.respond("/text", [reply(500, NOT_SENT)]);
    assert_eq!(assert_upstream(scene.agent.send_message(to_conversation(&scene.id, "hi")).await), None);
    let message = messages_of(&scene.agent, &scene.id).await.swap_remove(0);
    assert_eq!(message.error.unwrap().code, "22");
}

#[tokio::test]
async fn a_wrong_password_is_not_reported_as_the_callers_error() {
    let scene = Scene::mac(CALL_TIMEOUT).await;
    let refused = r#"{"status":401,"message":"You are not authorized to access this resource","error":{"type":"Authentication Error","message":"Unauthorized"}}"#;
    scene.carrier.respond("/read", [reply(401, refused)]);
    assert_eq!(assert_upstream(scene.mark_read().await), None);
}

#[tokio::test]
async fn a_line_without_a_mac_does_not_affect_other_lines() {
    let scene = Scene::mac(CALL_TIMEOUT).await;
    scene.carrier.respond("/text", [reply(200, SENT)]);
    let other = "+12025550119";
    let carrier = inkbox_imessage::domain::CarrierKind::BlueBubbles;
    scene.app.add_line_with(other, inkbox_imessage::domain::LineRole::Pool, carrier).await;
    let identity = scene.app.identity("org_a").await;
    let (thread, id) = scene.human.converses(&identity, "hello").await;
    assert_eq!(thread.line, other, "the first one's line is taken");
    let agent = scene.app.agent(&identity).await;
    assert_eq!(assert_upstream(agent.send_message(to_conversation(&id, "hi")).await), None);
    assert!(scene.carrier.received().is_empty());
    send(&scene.agent, &scene.id, "hi").await;
}

/// The server's request to stop it would start it again.
#[tokio::test]
async fn a_typing_indicator_is_never_ended_by_a_request() {
    let scene = Scene::mac(super::CALL_TIMEOUT).await;
    super::stop_typing(&scene).await.unwrap();
    assert_eq!(scene.carrier.requests(), []);
}
