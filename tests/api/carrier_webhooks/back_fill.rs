//! What no webhook delivered is fetched from the carrier.

use chrono::{DateTime, TimeDelta, Utc};
use inkbox_imessage::carrier_webhooks::{Secrets, Webhooks};
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::maintenance::back_fill;
use inkbox_imessage::telemetry::metrics::BackFillOutcome;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{
    BLUEBUBBLES_SECRET, SENDBLUE_SECRET, Scene, Talk, assert_answer, bluebubbles_event, sendblue_text,
};
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::locks::{commit, locking};
use crate::support::metrics::Scrape;
use crate::support::proxy::{NetworkState, Proxy};
use crate::support::{TestApp, eventually};

const CARRIERS: [CarrierKind; 2] = [CarrierKind::Sendblue, CarrierKind::BlueBubbles];

/// The webhook about a message that the human sends now.
fn webhook(scene: &Scene, carrier: CarrierKind, line: &str, id: &str, words: &str) -> Value {
    let now = scene.app.clock.now();
    match carrier {
        CarrierKind::BlueBubbles => {
            let mut body = bluebubbles_event("new-message", id, words);
            body["data"]["dateCreated"] = json!(now.timestamp_millis());
            body
        }
        _ => {
            let mut body = sendblue_text(line, id, words);
            body["date_sent"] = json!(now.to_rfc3339());
            body
        }
    }
}

/// The carrier receives a message and records it. Returns the webhook about it.
fn receives(scene: &Scene, carrier: CarrierKind, line: &str, id: &str, words: &str) -> Value {
    let body = webhook(scene, carrier, line, id, words);
    let record = if carrier == CarrierKind::BlueBubbles { body["data"].clone() } else { body.clone() };
    scene.phone.records(scene.app.clock.now(), record);
    body
}

async fn back_fill(scene: &Scene, carrier: CarrierKind) -> BackFillOutcome {
    back_fill::run_once(&scene.app.parts, &[carrier], scene.app.clock.now()).await
}

async fn deliver(scene: &Scene, carrier: CarrierKind, line: &str, body: &Value) -> u16 {
    match carrier {
        CarrierKind::BlueBubbles => scene.bluebubbles(line, body).await.status,
        _ => scene.sendblue(body).await.status,
    }
}

/// The texts of the conversation, oldest first.
async fn texts(talk: &Talk) -> Vec<String> {
    let messages = talk.messages().await;
    messages.iter().rev().map(|message| message.text().to_owned()).collect()
}

async fn position(scene: &Scene, line: &str) -> Option<DateTime<Utc>> {
    let position = "SELECT back_filled_to FROM lines WHERE number = $1";
    sqlx::query_scalar(position).bind(line).fetch_one(&scene.app.pool).await.unwrap()
}

async fn found(app: &TestApp) -> f64 {
    Scrape::of(app.metrics).await.value("inkbox_back_fill_messages_total", &[]).unwrap()
}

#[tokio::test]
async fn a_text_that_no_webhook_delivered_is_fetched_once() {
    for carrier in CARRIERS {
        let scene = Scene::of(carrier).await;
        let talk = scene.talk().await;
        let delivered = receives(&scene, carrier, &talk.line, "E-1", "delivered");
        assert_eq!(deliver(&scene, carrier, &talk.line, &delivered).await, 200);
        let lost = receives(&scene, carrier, &talk.line, "E-2", "lost");
        for _ in 0..2 {
            assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
            assert_eq!(texts(&talk).await, ["hello", "delivered", "lost"], "{carrier}");
            assert!((found(&scene.app).await - 1.0).abs() < 0.5);
        }
        assert_eq!(deliver(&scene, carrier, &talk.line, &lost).await, 200, "the webhook comes after all");
        assert_eq!(texts(&talk).await, ["hello", "delivered", "lost"]);
        assert!(position(&scene, &talk.line).await.is_some());
    }
}

/// A second process on the database of the scene, which serves webhooks. The first one is stopped.
async fn restart(scene: &Scene, carrier: CarrierKind) -> TestApp {
    scene.app.stop.cancel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let secrets = Secrets {
        sendblue: Some(SENDBLUE_SECRET.parse().unwrap()),
        sendblue_status: None,
        bluebubbles: Some(BLUEBUBBLES_SECRET.parse().unwrap()),
    };
    let lines = scene.phone.settings(carrier, &[ROUTER_LINE, POOL_LINES[0]]);
    let app = TestApp::builder()
        .database(scene.app.options.clone())
        .settings(|settings| settings.lines = lines)
        .server(|server| server.with_webhooks(Webhooks::new(listener, secrets)))
        .launch()
        .await;
    app.until_ready().await;
    app
}

#[tokio::test]
async fn what_arrived_while_the_service_was_down_is_there_after_its_start() {
    for carrier in CARRIERS {
        let scene = Scene::of(carrier).await;
        let talk = scene.talk().await;
        receives(&scene, carrier, &talk.line, "E-1", "anybody there?");
        let app = restart(&scene, carrier).await;
        let agent = app.agent(&scene.identity).await;
        let talk = Talk { agent, ..talk };
        eventually("the text is fetched", async || (texts(&talk).await.len() == 2).then_some(())).await;
        assert_eq!(texts(&talk).await, ["hello", "anybody there?"], "{carrier}");
    }
}

#[tokio::test]
async fn what_arrived_during_an_outage_of_the_database_is_there_after_it() {
    let carrier = CarrierKind::BlueBubbles;
    let (scene, proxy) = Scene::through(carrier, |direct| Some(Proxy::unix(direct))).await;
    let proxy = proxy.unwrap();
    let talk = scene.talk().await;
    proxy.set(NetworkState { refused: true, ..NetworkState::default() });
    proxy.cut();
    eventually("the outage is noticed", async || {
        (scene.app.health("").await == Some("NOT_SERVING")).then_some(())
    })
    .await;
    let body = receives(&scene, carrier, &talk.line, "E-1", "anybody there?");
    assert_eq!(deliver(&scene, carrier, &talk.line, &body).await, 503);
    proxy.set(NetworkState::default());
    scene.app.until_ready().await;
    eventually("the text is fetched", async || (texts(&talk).await.len() == 2).then_some(())).await;
}

#[tokio::test]
async fn a_message_that_a_webhook_delivers_while_it_is_fetched_is_stored_once() {
    for carrier in CARRIERS {
        let scene = Scene::of(carrier).await;
        let talk = scene.talk().await;
        let bodies: Vec<_> = (0..20)
            .map(|n| receives(&scene, carrier, &talk.line, &format!("E-{n}"), &format!("text {n}")))
            .collect();
        let delivering = futures_util::future::join_all(
            bodies.iter().map(|body| deliver(&scene, carrier, &talk.line, body)),
        );
        let (statuses, outcome) = tokio::join!(delivering, back_fill(&scene, carrier));
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        assert_eq!(outcome, BackFillOutcome::Done);
        let mut stored = texts(&talk).await;
        stored.sort();
        stored.dedup();
        assert_eq!((stored.len(), scene.rows("messages").await), (21, 21), "{carrier}");
    }
}

#[tokio::test]
async fn the_position_stays_where_it_is_if_a_message_cannot_be_stored() {
    let carrier = CarrierKind::Sendblue;
    let scene = Scene::of(carrier).await;
    let talk = scene.talk().await;
    assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
    let before = position(&scene, &talk.line).await;
    receives(&scene, carrier, &talk.line, "E-1", "hold on");
    let lock = locking(&scene.app, "BEGIN; LOCK TABLE messages IN ACCESS EXCLUSIVE MODE").await;
    assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Failed);
    assert_eq!(position(&scene, &talk.line).await, before);
    commit(lock).await;
    assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
    assert!(position(&scene, &talk.line).await > before);
    assert_eq!(texts(&talk).await, ["hello", "hold on"]);
}

#[tokio::test]
async fn a_line_is_fetched_by_one_process_at_a_time() {
    let carrier = CarrierKind::BlueBubbles;
    let scene = Scene::of(carrier).await;
    let talk = scene.talk().await;
    receives(&scene, carrier, &talk.line, "E-1", "one");
    // The other line is not due.
    let fetched = "UPDATE lines SET back_filled_to = $1 WHERE role = 1";
    let later = scene.app.clock.now() + TimeDelta::hours(1);
    sqlx::query(fetched).bind(later).execute(&scene.app.pool).await.unwrap();
    let closed = scene.phone.gate().lock_owned().await;
    let other = async {
        eventually("the first run fetches", async || (!scene.phone.list_requests().is_empty()).then_some(()))
            .await;
        assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Busy);
        assert_eq!(scene.phone.list_requests().len(), 1, "the carrier is not asked twice");
        drop(closed);
    };
    let (first, ()) = tokio::join!(back_fill(&scene, carrier), other);
    assert_eq!(first, BackFillOutcome::Done);
    assert_eq!(texts(&talk).await, ["hello", "one"]);
}

#[tokio::test]
async fn a_line_whose_process_died_is_fetched_by_another_one_after_two_minutes() {
    let carrier = CarrierKind::Sendblue;
    let scene = Scene::of(carrier).await;
    let talk = scene.talk().await;
    receives(&scene, carrier, &talk.line, "E-1", "one");
    let died = "UPDATE lines SET back_fill_holder = gen_random_uuid(), back_fill_until = $1";
    let until = scene.app.clock.now() + TimeDelta::minutes(2);
    sqlx::query(died).bind(until).execute(&scene.app.pool).await.unwrap();
    assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Busy);
    assert_eq!(texts(&talk).await, ["hello"]);
    scene.app.clock.advance(TimeDelta::minutes(2));
    assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
    assert_eq!(texts(&talk).await, ["hello", "one"]);
}

#[tokio::test]
async fn a_command_is_executed_if_it_is_young_and_the_last_one_of_the_human() {
    for carrier in CARRIERS {
        let scene = Scene::of(carrier).await;
        let connect = format!("connect @{}", scene.identity.agent_handle);
        receives(&scene, carrier, ROUTER_LINE, "C-1", &connect);
        scene.app.clock.advance(TimeDelta::minutes(11));
        assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
        assert_eq!(scene.rows("connections").await, 0, "{carrier}: it is too old");

        receives(&scene, carrier, ROUTER_LINE, "C-2", &connect);
        scene.app.clock.advance(TimeDelta::minutes(1));
        let later = webhook(&scene, carrier, ROUTER_LINE, "C-3", &format!("dis{connect}"));
        assert_eq!(deliver(&scene, carrier, ROUTER_LINE, &later).await, 200);
        assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
        assert_eq!(scene.rows("connections").await, 0, "{carrier}: the human has disconnected since");

        scene.app.clock.advance(TimeDelta::minutes(1));
        receives(&scene, carrier, ROUTER_LINE, "C-4", &connect);
        assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
        assert_eq!(scene.rows("connections").await, 1, "{carrier}");
    }
}

#[tokio::test]
async fn a_text_from_before_the_connection_is_not_for_its_agent() {
    for carrier in CARRIERS {
        let scene = Scene::of(carrier).await;
        receives(&scene, carrier, POOL_LINES[0], "E-1", "to nobody");
        let talk = scene.talk().await;
        receives(&scene, carrier, &talk.line, "E-2", "to the agent");
        assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
        assert_eq!(texts(&talk).await, ["hello", "to the agent"], "{carrier}");
    }
}

#[tokio::test]
async fn a_page_that_is_too_large_is_fetched_in_smaller_ones() {
    for carrier in CARRIERS {
        let scene = Scene::of(carrier).await;
        let talk = scene.talk().await;
        for n in 0..30 {
            receives(&scene, carrier, &talk.line, &format!("E-{n}"), &format!("{n} {}", "x".repeat(15_000)));
        }
        assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
        assert_eq!(scene.rows("messages").await, 31, "{carrier}");
        let pages = scene.phone.list_requests();
        assert!(pages.contains(&(0, 25)) && pages.contains(&(0, 12)), "{pages:?}");
    }
}

#[tokio::test]
async fn a_removed_tapback_does_not_come_back() {
    let carrier = CarrierKind::BlueBubbles;
    let scene = Scene::of(carrier).await;
    let talk = scene.talk().await;
    let text = receives(&scene, carrier, &talk.line, "G-1", "nice?");
    assert_eq!(deliver(&scene, carrier, &talk.line, &text).await, 200);
    let tapback = |id: &str, kind: &str| {
        let mut body = webhook(&scene, carrier, &talk.line, id, "Loved “nice?”");
        body["data"]["associatedMessageGuid"] = json!("p:0/G-1");
        body["data"]["associatedMessageType"] = json!(kind);
        scene.phone.records(scene.app.clock.now(), body["data"].clone());
        body
    };
    let reactions = async || {
        let messages = talk.messages().await;
        messages.into_iter().find(|message| message.text() == "nice?").unwrap().reactions.len()
    };
    // One that was delivered, and whose removal was, too.
    for (id, kind) in [("G-2", "love"), ("G-3", "-love")] {
        let body = tapback(id, kind);
        assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "tapback");
    }
    assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
    assert_eq!((reactions().await, scene.rows("reactions").await), (0, 1), "nothing was put again");
    // One that was not.
    scene.app.clock.advance(TimeDelta::seconds(1));
    tapback("G-4", "like");
    assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
    assert_eq!((reactions().await, scene.rows("reactions").await), (1, 2));
}

#[tokio::test]
async fn what_the_service_sent_and_what_a_person_sent_by_hand_are_told_apart() {
    let carrier = CarrierKind::BlueBubbles;
    let scene = Scene::of(carrier).await;
    let talk = scene.talk().await;
    crate::messages::send(&talk.agent, &talk.conversation_id, "from the agent").await;
    for (id, words) in [("sent-1", "from the agent"), ("G-1", "by hand")] {
        let mut body = webhook(&scene, carrier, &talk.line, id, words);
        body["data"]["isFromMe"] = json!(true);
        body["data"]["dateDelivered"] = json!(scene.app.clock.now().timestamp_millis());
        scene.phone.records(scene.app.clock.now(), body["data"].clone());
    }
    for _ in 0..2 {
        assert_eq!(back_fill(&scene, carrier).await, BackFillOutcome::Done);
        assert_eq!(texts(&talk).await, ["hello", "from the agent", "by hand"]);
    }
    let messages = talk.messages().await;
    let sent = messages.iter().find(|message| message.text() == "from the agent").unwrap();
    assert_eq!(sent.status().as_str_name(), "DELIVERY_STATUS_DELIVERED", "its status was fetched, too");
}
