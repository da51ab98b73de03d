use std::time::Duration;

use inkbox_imessage::proto::{
    DeliveryStatus, ReactionType, RemoveReactionRequest, SendMessageRequest, SendReactionRequest, SendStyle,
};
use tokio::net::TcpListener;

use super::{KEY_ID, SECRET_KEY, Scene, assert_upstream};
use crate::messages::{messages_of, send, to_conversation};
use crate::support::assert_reason;
use crate::support::carrier::{Reply, reply};

pub(crate) const QUEUED: &str = r#"{"accountEmail":"ops@example.com","content":"hi","is_outbound":true,"status":"QUEUED","error_code":null,"error_message":null,"message_handle":"dfd747bc-5600-4a8a-804a-6e614eac3a8e","date_sent":"2026-02-16T22:18:50.123Z","date_updated":"2026-02-16T22:18:50.123Z","from_number":"+12025550111","number":"+15551230001","to_number":"+15551230001","was_downgraded":null,"plan":"blue","media_url":"","message_type":"message","group_id":"","participants":["+15551230001","+12025550111"],"send_style":"","opted_out":false,"error_detail":null,"sendblue_number":"+12025550111"}"#;
pub(crate) const READ: &str = r#"{"status":"OK","message":"Read receipt sent","number":"+15551230001"}"#;
pub(crate) const TYPING: &str = r#"{"number":"+15551230001","status":"SENT","error_message":null}"#;
const REACTED: &str = r#"{"status":"OK","message":"Reaction sent","message_handle":"dfd747bc-5600-4a8a-804a-6e614eac3a8e","reaction":"love"}"#;

#[tokio::test]
async fn each_call_is_one_request_with_the_credentials() {
    let scene = Scene::sendblue_with(super::CALL_TIMEOUT, |carriers| {
        let account = carriers.sendblue.as_mut().unwrap();
        account.status_callback = Some("https://hooks.example/sendblue/status".to_owned().into());
    })
    .await;
    scene.carrier.respond("mark-read", [reply(200, READ)]);
    scene.carrier.respond("send-typing-indicator", [reply(200, TYPING)]);
    scene.carrier.respond("send-message", [reply(200, QUEUED)]);
    scene.carrier.respond("send-reaction", [reply(200, REACTED)]);

    scene.mark_read().await.unwrap();
    scene.typing().await.unwrap();
    let styled = SendMessageRequest {
        send_style: SendStyle::ShootingStar.into(),
        media_urls: vec!["https://files.example/cat.jpg".to_owned()],
        ..to_conversation(&scene.id, "hi")
    };
    let sent = scene.agent.send_message(styled).await.unwrap().message.unwrap();
    assert_eq!(sent.status(), DeliveryStatus::Queued);
    let reaction =
        SendReactionRequest { message_id: sent.id, reaction: ReactionType::Love.into(), part_index: 0 };
    scene.agent.send_reaction(reaction).await.unwrap();

    let ends = r#"{"number":"+15551230001","from_number":"+12025550111"}"#;
    let expected = [
        ("POST /api/mark-read", ends),
        ("POST /api/send-typing-indicator", ends),
        (
            "POST /api/send-message",
            r#"{"number":"+15551230001","from_number":"+12025550111","content":"hi","media_url":"https://files.example/cat.jpg","send_style":"shooting_star","status_callback":"https://hooks.example/sendblue/status"}"#,
        ),
        (
            "POST /api/send-reaction",
            r#"{"from_number":"+12025550111","message_handle":"dfd747bc-5600-4a8a-804a-6e614eac3a8e","reaction":"love","part_index":0}"#,
        ),
    ];
    let expected = expected.map(|(line, body)| (line.to_owned(), body.to_owned()));
    assert_eq!(scene.carrier.requests(), expected);
    for request in scene.carrier.received() {
        let header = |name: &str| request.headers.get(name).map(String::as_str);
        assert_eq!(header("sb-api-key-id"), Some(KEY_ID));
        assert_eq!(header("sb-api-secret-key"), Some(SECRET_KEY));
        assert_eq!(header("content-type"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_typing_indicator_is_ended_by_a_request_of_its_own() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-typing-indicator", [reply(200, TYPING)]);
    super::stop_typing(&scene).await.unwrap();
    let body = r#"{"number":"+15551230001","from_number":"+12025550111","state":"stop"}"#;
    assert_eq!(scene.carrier.requests(), [("POST /api/send-typing-indicator".to_owned(), body.to_owned())]);
}

#[tokio::test]
async fn absent_fields_are_not_sent() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(200, QUEUED)]);
    send(&scene.agent, &scene.id, "hi").await;
    let body = r#"{"number":"+15551230001","from_number":"+12025550111","content":"hi"}"#;
    assert_eq!(scene.carrier.requests(), [("POST /api/send-message".to_owned(), body.to_owned())]);
}

#[tokio::test]
async fn a_tapback_cannot_be_removed_and_stays() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(200, QUEUED)]);
    scene.carrier.respond("send-reaction", [reply(200, REACTED)]);
    let sent = send(&scene.agent, &scene.id, "hi").await;
    let reaction =
        SendReactionRequest { message_id: sent.id, reaction: ReactionType::Love.into(), part_index: 0 };
    let reaction = scene.agent.send_reaction(reaction).await.unwrap().reaction.unwrap();
    let requests = scene.carrier.received().len();
    let removal = RemoveReactionRequest { reaction_id: reaction.id };
    assert_reason(scene.agent.remove_reaction(removal).await, "NOT_SUPPORTED_BY_CARRIER");
    assert_eq!(scene.carrier.received().len(), requests, "no request is sent");
    assert_eq!(messages_of(&scene.agent, &scene.id).await[0].reactions.len(), 1);
}

#[tokio::test]
async fn a_rejected_message_has_the_carriers_code_and_no_number() {
    let scene = Scene::sendblue().await;
    let refused = r#"{"status":"ERROR","error_code":4002,"error_message":"+12025550111 is blacklisted"}"#;
    scene.carrier.respond("send-message", [reply(200, refused)]);
    let request = crate::messages::keyed(to_conversation(&scene.id, "hi"), "key");
    assert_eq!(assert_upstream(scene.agent.send_message(request.clone()).await), None);
    let message = messages_of(&scene.agent, &scene.id).await.swap_remove(0);
    assert_eq!(message.status(), DeliveryStatus::Error);
    let error = message.error.unwrap();
    assert_eq!(error.code, "4002");
    assert!(error.message.contains("blacklist") && !error.message.contains('+'), "{}", error.message);
    assert_eq!(
        assert_upstream(scene.agent.send_message(request).await),
        None,
        "the replay has the same error"
    );
    assert_eq!(scene.carrier.request_count("send-message"), 1);
}

#[tokio::test]
async fn invalid_credentials_of_the_service_are_not_reported_as_the_callers_error() {
    let scene = Scene::sendblue().await;
    for status in [401, 403] {
        scene.carrier.respond("mark-read", [reply(status, r#"{"message":"Unauthorized"}"#)]);
        assert_eq!(assert_upstream(scene.mark_read().await), None);
        scene.carrier.respond("send-message", [reply(status, "")]);
        assert_eq!(assert_upstream(scene.agent.send_message(to_conversation(&scene.id, "hi")).await), None);
    }
}

#[tokio::test]
async fn the_retry_delay_of_a_rate_limit_is_passed_on() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [Reply::WithHeader(429, "retry-after", "7")]);
    scene.carrier.respond("mark-read", [Reply::WithHeader(503, "retry-after", "9")]);
    let answer = scene.agent.send_message(to_conversation(&scene.id, "hi")).await;
    assert_eq!(assert_upstream(answer), Some(Duration::from_secs(7)));
    assert_eq!(messages_of(&scene.agent, &scene.id).await[0].status(), DeliveryStatus::Error);
    assert_eq!(assert_upstream(scene.mark_read().await), Some(Duration::from_secs(9)));
}

#[tokio::test]
async fn a_status_200_with_an_error_is_a_failure() {
    let scene = Scene::sendblue().await;
    let error = r#"{"number":"+15551230001","status":"ERROR","error_message":"no"}"#;
    scene.carrier.respond("send-typing-indicator", [reply(200, error)]);
    assert_eq!(assert_upstream(scene.typing().await), None);
    scene.carrier.respond("mark-read", [reply(200, r#"{"status":"ERROR","message":"not yours"}"#)]);
    assert_eq!(assert_upstream(scene.mark_read().await), None);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("mark-read", [Reply::WithHeader(307, "location", "/api/elsewhere")]);
    assert_eq!(assert_upstream(scene.mark_read().await), None);
    assert_eq!(scene.carrier.received().len(), 1);
}

#[tokio::test]
async fn a_response_body_is_read_up_to_a_maximum() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("mark-read", [reply(200, &"x".repeat(1 << 20))]);
    assert!(assert_upstream(scene.mark_read().await).is_some());
}

#[tokio::test]
async fn a_send_without_a_connection_failed_and_can_be_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nowhere = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let scene = Scene::sendblue_with(super::CALL_TIMEOUT, |carriers| {
        carriers.sendblue.as_mut().unwrap().url = nowhere.parse().unwrap();
    })
    .await;
    assert!(assert_upstream(scene.agent.send_message(to_conversation(&scene.id, "hi")).await).is_some());
    let message = messages_of(&scene.agent, &scene.id).await.swap_remove(0);
    assert_eq!(message.status(), DeliveryStatus::Error, "not pending: it was certainly not sent");
    assert_eq!(message.error.unwrap().code, "LINE_FAILED");
}
