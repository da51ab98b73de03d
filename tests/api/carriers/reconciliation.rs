//! A send whose outcome is unknown is looked up at the carrier, and never sent again.

use std::time::Duration;

use inkbox_imessage::maintenance::pending;
use inkbox_imessage::proto::{DeliveryStatus, Message, UpdateDeliveryStatusRequest};

use super::sendblue::QUEUED;
use super::{SENDBLUE_LINE, Scene, assert_upstream, sendblue_at};
use crate::messages::{keyed, messages_of, send, to_conversation};
use crate::support::TestApp;
use crate::support::carrier::{Reply, reply};

/// A carrier call timeout that a test can wait for.
const SHORT_TIMEOUT: Duration = Duration::from_millis(400);

/// Sendblue's list of messages.
fn list(records: &[(&str, &str, &str)]) -> String {
    let record = |(handle, content, status): &(&str, &str, &str)| {
        format!(
            r#"{{"accountEmail":"ops@example.com","content":"{content}","is_outbound":true,"status":"{status}","error_code":{code},"error_message":null,"message_handle":"{handle}","from_number":"+12025550111","to_number":"+15551230001","number":"+15551230001","media_url":"","service":"iMessage","was_downgraded":false}}"#,
            code = if *status == "ERROR" { "10001" } else { "null" },
        )
    };
    let records: Vec<_> = records.iter().map(record).collect();
    format!(
        r#"{{"status":"OK","data":[{}],"pagination":{{"limit":10,"offset":0,"total":1}}}}"#,
        records.join(",")
    )
}

/// The earliest time of the lookup: the clocks may differ by five seconds.
fn since(sent: &Message) -> chrono::DateTime<chrono::Utc> {
    let at = sent.created_at.unwrap();
    let at = chrono::DateTime::from_timestamp(at.seconds, at.nanos.try_into().unwrap()).unwrap();
    at - chrono::TimeDelta::seconds(5)
}

/// Asserts that a delivery update with this id of the carrier reaches the message.
async fn assert_known_as(scene: &Scene, handle: &str, message: &Message) {
    let update = UpdateDeliveryStatusRequest {
        line_number: SENDBLUE_LINE.to_owned(),
        provider_message_id: handle.to_owned(),
        status: DeliveryStatus::Delivered.into(),
        ..Default::default()
    };
    scene.human.router.update_delivery_status(update).await.unwrap();
    let newest = messages_of(&scene.agent, &scene.id).await.swap_remove(0);
    assert_eq!((newest.id.as_str(), newest.status()), (message.id.as_str(), DeliveryStatus::Delivered));
}

#[tokio::test]
async fn a_send_without_a_response_is_looked_up_immediately() {
    let scene = Scene::sendblue_with(SHORT_TIMEOUT, |_| {}).await;
    scene.carrier.respond("send-message", [Reply::Never]);
    scene
        .carrier
        .respond("messages", [reply(200, &list(&[("other", "hello", "SENT"), ("ours", "hi", "SENT")]))]);
    let sent = send(&scene.agent, &scene.id, "hi").await;
    assert_eq!(sent.status(), DeliveryStatus::Queued);
    assert_eq!(scene.carrier.request_count("send-message"), 1);
    let request = scene.carrier.received().pop().unwrap();
    let url = format!("http://stub{}", request.request_line.strip_prefix("GET ").unwrap());
    let url: reqwest::Url = url.parse().unwrap();
    assert_eq!(url.path(), "/api/v2/messages");
    let query: Vec<_> =
        url.query_pairs().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let since = since(&sent).to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let expected = [
        ("is_outbound", "true"),
        ("from_number", "+12025550111"),
        ("to_number", "+15551230001"),
        ("created_at_gte", since.as_str()),
        ("order_by", "createdAt"),
        ("order_direction", "asc"),
        ("limit", "10"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(query, expected);
    assert_known_as(&scene, "ours", &sent).await;
}

#[tokio::test]
async fn a_send_with_an_ambiguous_response_is_looked_up() {
    for (status, body) in
        [(500, r#"{"error_code":5000}"#), (200, r#"{"status":"ERROR","error_code":10002}"#), (504, "")]
    {
        let scene = Scene::sendblue().await;
        scene.carrier.respond("send-message", [reply(status, body)]);
        scene.carrier.respond("messages", [reply(200, &list(&[("ours", "hi", "QUEUED")]))]);
        assert_eq!(send(&scene.agent, &scene.id, "hi").await.status(), DeliveryStatus::Queued, "{status}");
        assert_eq!(scene.carrier.request_count("send-message"), 1);
    }
}

#[tokio::test]
async fn a_message_without_a_match_stays_pending_and_a_replay_looks_it_up_again() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(504, "")]);
    scene.carrier.respond("messages", [reply(200, &list(&[]))]);
    let request = keyed(to_conversation(&scene.id, "hi"), "key");
    let first = scene.agent.send_message(request.clone()).await.unwrap().message.unwrap();
    assert_eq!(first.status(), DeliveryStatus::Pending);
    let again = scene.agent.send_message(request.clone()).await.unwrap().message.unwrap();
    assert_eq!(again, first, "still not there");
    assert_eq!(scene.carrier.request_count("messages"), 2, "looked up after the send, and before the replay");

    scene.carrier.respond("messages", [reply(200, &list(&[("ours", "hi", "DELIVERED")]))]);
    let found = scene.agent.send_message(request.clone()).await.unwrap().message.unwrap();
    assert_eq!((found.id.as_str(), found.status()), (first.id.as_str(), DeliveryStatus::Queued));
    assert_eq!(messages_of(&scene.agent, &scene.id).await[0], found, "the result is stored");
    scene.agent.send_message(request).await.unwrap();
    assert_eq!(scene.carrier.request_count("messages"), 3, "no further lookup");
    assert_eq!(scene.carrier.request_count("send-message"), 1, "never sent again");
    assert_known_as(&scene, "ours", &found).await;
}

#[tokio::test]
async fn a_message_that_the_carrier_gave_up_on_has_failed() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(504, "")]);
    scene
        .carrier
        .respond("messages", [reply(200, &list(&[])), reply(200, &list(&[("ours", "hi", "ERROR")]))]);
    let request = keyed(to_conversation(&scene.id, "hi"), "key");
    let first = scene.agent.send_message(request.clone()).await.unwrap().message.unwrap();
    assert_eq!(first.status(), DeliveryStatus::Pending);
    assert_eq!(assert_upstream(scene.agent.send_message(request).await), None);
    let message = messages_of(&scene.agent, &scene.id).await.swap_remove(0);
    assert_eq!((message.status(), message.error.unwrap().code.as_str()), (DeliveryStatus::Error, "10001"));
}

#[tokio::test]
async fn a_known_message_with_the_same_text_is_not_a_match() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(200, QUEUED), reply(504, "")]);
    let first = "dfd747bc-5600-4a8a-804a-6e614eac3a8e";
    scene.carrier.respond("messages", [reply(200, &list(&[(first, "hi", "SENT")]))]);
    assert_eq!(send(&scene.agent, &scene.id, "hi").await.status(), DeliveryStatus::Queued);
    assert_eq!(send(&scene.agent, &scene.id, "hi").await.status(), DeliveryStatus::Pending);
}

#[tokio::test]
async fn pending_messages_with_the_same_text_that_are_replayed_at_once_take_one_record_each() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(504, "")]);
    scene.carrier.respond("messages", [reply(200, &list(&[]))]);
    let requests = ["a", "b", "c"].map(|key| keyed(to_conversation(&scene.id, "hi"), key));
    for request in &requests {
        let sent = scene.agent.send_message(request.clone()).await.unwrap().message.unwrap();
        assert_eq!(sent.status(), DeliveryStatus::Pending);
    }
    scene.carrier.respond("messages", [reply(200, &list(&[("1", "hi", "SENT"), ("2", "hi", "SENT")]))]);
    let replays = requests.map(|request| {
        let agent = scene.agent.clone();
        tokio::spawn(async move { agent.send_message(request).await })
    });
    let mut statuses = Vec::new();
    for replay in replays {
        statuses.push(replay.await.unwrap().unwrap().message.unwrap().status());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [DeliveryStatus::Pending, DeliveryStatus::Queued, DeliveryStatus::Queued]);
    let known = "SELECT provider_message_id FROM sent_messages ORDER BY 1";
    let known: Vec<String> = sqlx::query_scalar(known).fetch_all(&scene.app.pool).await.unwrap();
    assert_eq!(known, ["1", "2"]);
}

#[tokio::test]
async fn a_pending_message_is_found_in_the_background_once_its_send_must_have_ended() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(504, "")]);
    scene.carrier.respond("messages", [reply(200, &list(&[]))]);
    let sent = send(&scene.agent, &scene.id, "hi").await;
    assert_eq!(sent.status(), DeliveryStatus::Pending);
    scene.carrier.respond("messages", [reply(200, &list(&[("ours", "hi", "SENT")]))]);
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 0, "it may still be in progress");
    scene.app.clock.advance(chrono::TimeDelta::minutes(1));
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 1);
    assert_eq!(messages_of(&scene.agent, &scene.id).await[0].status(), DeliveryStatus::Queued);
    assert_known_as(&scene, "ours", &sent).await;
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 0);
    assert_eq!(scene.carrier.request_count("send-message"), 1, "never sent again");
}

#[tokio::test]
async fn pending_messages_that_stay_unknown_do_not_keep_others_from_being_found() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(504, "")]);
    scene.carrier.respond("messages", [reply(200, &list(&[]))]);
    for n in 1..=12 {
        let sent = send(&scene.agent, &scene.id, &format!("text {n}")).await;
        assert_eq!(sent.status(), DeliveryStatus::Pending);
    }
    let known = list(&[("eleven", "text 11", "SENT"), ("twelve", "text 12", "SENT")]);
    scene.carrier.respond("messages", [reply(200, &known)]);
    let replica = TestApp::builder()
        .database(scene.app.options.clone())
        .clock(scene.app.clock.clone())
        .settings(|settings| settings.lines = sendblue_at(&scene.carrier.url))
        .start()
        .await;
    scene.app.clock.advance(chrono::TimeDelta::minutes(1));
    let asked = scene.carrier.request_count("messages");
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 0, "the ten that came first");
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 2);
    assert_eq!(scene.carrier.request_count("messages") - asked, 12);
    // Nothing is due, on any replica, until some time has passed.
    for app in [&scene.app, &replica] {
        assert_eq!(pending::run_once(&app.parts).await.unwrap(), 0);
    }
    assert_eq!(scene.carrier.request_count("messages") - asked, 12);
    scene.app.clock.advance(chrono::TimeDelta::minutes(2));
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 0);
    assert_eq!(scene.carrier.request_count("messages") - asked, 22);
    scene.app.clock.advance(chrono::TimeDelta::minutes(1));
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 0);
    assert_eq!(scene.carrier.request_count("messages") - asked, 22, "less often than before");
}

#[tokio::test]
async fn the_carrier_is_not_asked_about_a_message_that_is_pending_for_a_day() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(504, "")]);
    scene.carrier.respond("messages", [reply(200, &list(&[]))]);
    send(&scene.agent, &scene.id, "hi").await;
    scene.app.clock.advance(chrono::TimeDelta::hours(25));
    let asked = scene.carrier.request_count("messages");
    assert_eq!(pending::run_once(&scene.app.parts).await.unwrap(), 0);
    assert_eq!(scene.carrier.request_count("messages"), asked);
}

#[tokio::test]
async fn a_failed_lookup_leaves_the_message_pending() {
    let scene = Scene::sendblue().await;
    scene.carrier.respond("send-message", [reply(504, "")]);
    for reply in [reply(500, ""), reply(401, ""), reply(200, "<html>"), reply(200, &"x".repeat(1 << 20))] {
        scene.carrier.respond("messages", [reply]);
        assert_eq!(send(&scene.agent, &scene.id, "hi").await.status(), DeliveryStatus::Pending);
    }
}

#[tokio::test]
async fn a_mac_is_queried_for_messages_of_the_chat_since_the_send() {
    let scene = Scene::mac(SHORT_TIMEOUT).await;
    scene.carrier.respond("/text", [Reply::Never]);
    let listed = r#"{"status":200,"message":"Successfully fetched messages!","data":[
        {"guid":"theirs","text":"hi","isFromMe":false,"error":0,"associatedMessageGuid":null},
        {"guid":"tapback","text":"hi","isFromMe":true,"error":0,"associatedMessageGuid":"p:0/theirs"},
        {"guid":"ours","text":null,"attributedBody":[{"string":"hi","runs":[]}],"isFromMe":true,"error":0,"associatedMessageGuid":null}],
        "metadata":{"offset":0,"limit":20,"total":3,"count":3}}"#;
    scene.carrier.respond("/query", [reply(200, listed)]);
    let sent = send(&scene.agent, &scene.id, "hi").await;
    assert_eq!(sent.status(), DeliveryStatus::Queued);
    let (line, body) = scene.carrier.requests().pop().unwrap();
    assert_eq!(line, "POST /api/v1/message/query?password=p%26ss+word");
    let since = since(&sent).timestamp_millis();
    let expected = format!(
        r#"{{"chatGuid":"iMessage;-;+15551230001","after":{since},"sort":"ASC","limit":20,"with":["attributedBody"]}}"#
    );
    assert_eq!(body, expected);
    let pool = &scene.app.pool;
    let known: (String,) =
        sqlx::query_as("SELECT provider_message_id FROM sent_messages").fetch_one(pool).await.unwrap();
    assert_eq!(known.0, "ours");
    assert_eq!(scene.carrier.request_count("/text"), 1);
}
