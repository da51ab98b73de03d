//! A day of mixed traffic of each carrier (the bodies of tests/corpus whose ids begin with `DAY-`): whatever the order in
//! which it arrives, however often, and through outages, the conversations are the same.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use inkbox_imessage::domain::CarrierKind;
use inkbox_imessage::maintenance::verify;
use inkbox_imessage::proto::{ListConversationsRequest, ListMessagesRequest};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use inkbox_imessage::clock::Clock as _;

use super::Scene;
use crate::support::proxy::{NetworkState, Proxy};
use crate::support::{Human, eventually, invariants};

const HUMANS: [&str; 3] = ["+15551230001", "+15551230002", "+15551230003"];

/// What is left at the end of the day, without ids.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// Number, total, unread, preview and whether the newest message has media.
    conversations: Vec<(String, i32, i32, Option<String>, bool)>,
    /// Number, text, files, and whether it was edited or retracted.
    messages: Vec<(String, Option<String>, usize, bool, bool)>,
}

async fn outcome(scene: &Scene) -> Outcome {
    let admin = scene.app.admin("org_a").await;
    let listed = admin.list_conversations(ListConversationsRequest::default()).await.unwrap();
    let mut conversations: Vec<_> = listed
        .conversations
        .into_iter()
        .map(|row| {
            (row.remote_number, row.total_count, row.unread_count, row.latest_text, row.latest_has_media)
        })
        .collect();
    conversations.sort();
    let all = ListMessagesRequest { limit: Some(200), ..Default::default() };
    let mut messages: Vec<_> = admin
        .list_messages(all)
        .await
        .unwrap()
        .messages
        .into_iter()
        .map(|message| {
            let (edited, retracted) = (message.edited_at.is_some(), message.retracted_at.is_some());
            (message.remote_number, message.text, message.media.len(), edited, retracted)
        })
        .collect();
    messages.sort();
    Outcome { conversations, messages }
}

fn id(body: &Value) -> &str {
    let id = body["message_handle"].as_str().or_else(|| body["data"]["guid"].as_str());
    id.unwrap_or_default()
}

fn day(carrier: CarrierKind) -> Vec<Value> {
    let name = match carrier {
        CarrierKind::Sendblue => "sendblue",
        _ => "bluebubbles",
    };
    let path = format!("{}/tests/corpus/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let all: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let day: Vec<_> = all.into_iter().filter(|body| id(body).starts_with("DAY-")).collect();
    assert!(day.len() > 15, "{}", day.len());
    day
}

/// Some of the bodies twice, in any order; a carrier delivers what concerns one message in its order.
fn shuffled_and_duplicated(day: &[Value], random: &mut StdRng) -> Vec<Value> {
    let mut bodies = Vec::new();
    for body in day {
        bodies.push(body.clone());
        if random.random_bool(0.5) {
            bodies.push(body.clone());
        }
    }
    let mut places: Vec<usize> = (0..bodies.len()).collect();
    places.shuffle(random);
    let mut of_id: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (body, place) in bodies.iter().zip(&places) {
        of_id.entry(id(body).to_owned()).or_default().push(*place);
    }
    let mut ordered: Vec<(usize, Value)> = Vec::new();
    for places in of_id.values_mut() {
        places.sort_unstable();
        places.reverse();
    }
    for body in bodies {
        let place = of_id.get_mut(id(&body)).unwrap().pop().unwrap();
        ordered.push((place, body));
    }
    ordered.sort_by_key(|(place, _)| *place);
    ordered.into_iter().map(|(_, body)| body).collect()
}

async fn scene(
    carrier: CarrierKind,
    proxy: impl FnOnce(&sqlx::postgres::PgConnectOptions) -> Option<Proxy>,
) -> (Scene, Option<Proxy>) {
    let (scene, proxy) = Scene::through(carrier, proxy).await;
    for number in HUMANS {
        Human::new(&scene.app, number).await.connects(&scene.identity).await;
    }
    (scene, proxy)
}

async fn deliver(scene: &Scene, carrier: CarrierKind, body: &Value) -> u16 {
    match carrier {
        CarrierKind::Sendblue => scene.sendblue(body).await.status,
        _ => scene.bluebubbles("+12025550101", body).await.status,
    }
}

/// Delivers again what was not taken, as Sendblue does, until all of it is.
async fn deliver_all(scene: &Scene, carrier: CarrierKind, bodies: &[Value]) {
    let mut rest: Vec<&Value> = bodies.iter().collect();
    for _ in 0..50 {
        let mut refused = Vec::new();
        for body in rest {
            if deliver(scene, carrier, body).await >= 500 {
                refused.push(body);
            }
        }
        if refused.is_empty() {
            return;
        }
        rest = refused;
    }
    panic!("{} webhooks are never taken", rest.len());
}

async fn assert_clean(scene: &Scene) {
    invariants::hold(&scene.app).await;
    let now: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT now()").fetch_one(&scene.app.pool).await.unwrap();
    let report = verify::verify(&scene.app.options, now).await.unwrap();
    assert!(report.violations.is_empty(), "{report:?}");
}

#[tokio::test]
async fn a_day_in_any_order_and_delivered_twice_leaves_the_same_conversations() {
    for carrier in [CarrierKind::Sendblue, CarrierKind::BlueBubbles] {
        let day = day(carrier);
        let (in_order, _) = scene(carrier, |_| None).await;
        deliver_all(&in_order, carrier, &day).await;
        let expected = outcome(&in_order).await;
        assert_clean(&in_order).await;
        assert_eq!(expected.conversations.len(), HUMANS.len(), "{expected:#?}");
        assert!(expected.messages.len() > 10, "{expected:#?}");
        for seed in 1..=4 {
            let bodies = shuffled_and_duplicated(&day, &mut StdRng::seed_from_u64(seed));
            let (shuffled, _) = scene(carrier, |_| None).await;
            deliver_all(&shuffled, carrier, &bodies).await;
            assert_eq!(outcome(&shuffled).await, expected, "{carrier}, seed {seed}");
            assert_clean(&shuffled).await;
        }
    }
}

/// A day as if it took a second and had just passed, without the message that is taken back: one that nobody has seen is
/// not stored.
fn day_of_now(scene: &Scene) -> Vec<Value> {
    let start = scene.app.clock.now().timestamp_millis();
    // A time in the future would count as that of the arrival, and the order would be that of the deliveries.
    scene.app.clock.advance(TimeDelta::milliseconds(1_500));
    let mut bodies = day(CarrierKind::BlueBubbles);
    bodies.retain(|body| id(body) != "DAY-10");
    let first = bodies[0]["data"]["dateCreated"].as_i64().unwrap();
    for body in &mut bodies {
        for name in ["dateCreated", "dateEdited"] {
            if let Some(at) = body["data"][name].as_i64() {
                body["data"][name] = json!(start + (at - first) / 1_000);
            }
        }
    }
    bodies
}

/// The Mac records each message in its newest state.
fn record(scene: &Scene, body: &Value, known: &mut BTreeMap<String, Value>) {
    let record = known.entry(id(body).to_owned()).or_insert_with(|| body["data"].clone());
    for (name, value) in body["data"].as_object().unwrap() {
        record[name] = value.clone();
    }
    let at = record["dateCreated"].as_i64().unwrap();
    scene.phone.records(chrono::DateTime::from_timestamp_millis(at).unwrap(), record.clone());
}

/// BlueBubbles never delivers again what was not taken. What was lost is fetched when the database is back.
#[tokio::test]
async fn a_day_at_a_carrier_that_does_not_redeliver_survives_outages_of_the_database() {
    let carrier = CarrierKind::BlueBubbles;
    let (quiet, _) = scene(carrier, |_| None).await;
    deliver_all(&quiet, carrier, &day_of_now(&quiet)).await;
    let expected = outcome(&quiet).await;
    for seed in 1..=2 {
        let random = &mut StdRng::seed_from_u64(seed);
        let (shaken, proxy) = scene(carrier, |direct| Some(Proxy::unix(direct))).await;
        let proxy = proxy.unwrap();
        let (mut lost, mut known) = (0, BTreeMap::new());
        for body in day_of_now(&shaken) {
            match random.random_range(0..6) {
                0 => proxy.cut(),
                1 => {
                    proxy.set(NetworkState { refused: true, ..NetworkState::default() });
                    proxy.cut();
                }
                _ => proxy.set(NetworkState::default()),
            }
            record(&shaken, &body, &mut known);
            lost += usize::from(deliver(&shaken, carrier, &body).await >= 500);
        }
        assert!(lost > 0, "no outage was met");
        // The last one is long enough to be noticed.
        proxy.set(NetworkState { refused: true, ..NetworkState::default() });
        proxy.cut();
        eventually("the outage is noticed", async || {
            (shaken.app.health("").await == Some("NOT_SERVING")).then_some(())
        })
        .await;
        proxy.set(NetworkState::default());
        shaken.app.until_ready().await;
        eventually("what was lost is fetched", async || (outcome(&shaken).await == expected).then_some(()))
            .await;
        assert_clean(&shaken).await;
    }
}

/// Sendblue delivers again what was answered with 5xx. (BlueBubbles never does.)
#[tokio::test]
async fn a_day_with_outages_of_the_database_leaves_the_same_conversations() {
    let carrier = CarrierKind::Sendblue;
    let day = day(carrier);
    let (quiet, _) = scene(carrier, |_| None).await;
    deliver_all(&quiet, carrier, &day).await;
    let expected = outcome(&quiet).await;
    for seed in 1..=2 {
        let random = &mut StdRng::seed_from_u64(seed);
        let bodies = shuffled_and_duplicated(&day, random);
        let (shaken, proxy) = scene(carrier, |direct| Some(Proxy::unix(direct))).await;
        let proxy = proxy.unwrap();
        let mut refused = Vec::new();
        for body in &bodies {
            match random.random_range(0..6) {
                0 => proxy.cut(),
                1 => {
                    proxy.set(NetworkState { refused: true, ..NetworkState::default() });
                    proxy.cut();
                }
                _ => proxy.set(NetworkState::default()),
            }
            if deliver(&shaken, carrier, body).await >= 500 {
                refused.push(body.clone());
            }
        }
        proxy.set(NetworkState::default());
        shaken.app.until_ready().await;
        deliver_all(&shaken, carrier, &refused).await;
        assert_eq!(outcome(&shaken).await, expected, "seed {seed}: {} were refused", refused.len());
        assert!(!refused.is_empty(), "no outage was met");
        assert_clean(&shaken).await;
    }
}
