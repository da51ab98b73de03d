use std::time::Duration;

use inkbox_imessage::carriers::BreakerSettings;
use inkbox_imessage::domain::CarrierKind;
use tokio::time::Instant;

use super::sendblue::READ;
use super::{Scene, TIME_OUT, assert_upstream};
use crate::support::carrier::{Reply, says};
use crate::support::eventually;
use crate::support::metrics::Scrape;

/// What a call to a carrier that is down may take. It makes two queries and asks nobody.
const AT_ONCE: Duration = Duration::from_millis(50);

async fn scene(pause: Duration, time_out: Duration) -> Scene {
    Scene::sendblue_with(time_out, |lines| lines.breaker = BreakerSettings { faults: 3, pause }).await
}

#[tokio::test]
async fn a_dead_carrier_costs_milliseconds_and_is_told_by_health() {
    let scene = scene(Duration::from_hours(1), Duration::from_millis(300)).await;
    assert_eq!(scene.app.health("line.sendblue").await, Some("SERVING"));
    scene.carrier.answers("mark-read", [Reply::Never]);
    for _ in 0..3 {
        assert!(assert_upstream(scene.mark_read().await).is_some());
    }
    assert!(scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
    // The fastest of a few: the machine may be busy with other tests.
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        assert!(assert_upstream(scene.mark_read().await).is_some(), "trying again can help");
        fastest = fastest.min(began.elapsed());
    }
    assert!(fastest < AT_ONCE, "{fastest:?}");
    assert_eq!(scene.carrier.times("mark-read"), 3, "it is left alone");
    eventually("health tells", async || {
        (scene.app.health("line.sendblue").await == Some("NOT_SERVING")).then_some(())
    })
    .await;
    let open = [("carrier", "sendblue")];
    assert_eq!(Scrape::of(scene.app.metrics).await.value("inkbox_line_breaker_open", &open), Some(1.0));
    assert_eq!(scene.app.health("").await, Some("SERVING"), "the service works for other carriers");
    assert_eq!(scene.app.health("line.sandbox").await, None);
}

#[tokio::test]
async fn it_is_used_again_once_one_call_finds_it_back() {
    let scene = scene(Duration::from_millis(100), TIME_OUT).await;
    scene.carrier.answers("mark-read", [says(503, "")]);
    for _ in 0..3 {
        assert!(assert_upstream(scene.mark_read().await).is_some());
    }
    assert!(scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
    eventually("one call asks", async || {
        let _ = scene.mark_read().await;
        (scene.carrier.times("mark-read") > 3).then_some(())
    })
    .await;
    assert!(scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue), "it is still down");
    scene.carrier.answers("mark-read", [says(200, READ)]);
    eventually("the carrier is back", async || scene.mark_read().await.ok()).await;
    assert!(!scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
    eventually("health tells", async || {
        (scene.app.health("line.sendblue").await == Some("SERVING")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_it_says_of_one_call_does_not_count_against_it() {
    let scene = scene(Duration::from_hours(1), TIME_OUT).await;
    for reply in [
        says(400, r#"{"status":"ERROR","message":"no route mapping"}"#),
        says(200, r#"{"status":"ERROR","error_code":4002}"#),
        says(401, ""),
        Reply::WithHeader(429, "retry-after", "1"),
        says(503, r#"{"error_code":5003}"#),
    ] {
        scene.carrier.answers("mark-read", [reply]);
        for _ in 0..4 {
            assert_upstream(scene.mark_read().await);
        }
    }
    assert!(!scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
    assert_eq!(scene.carrier.times("mark-read"), 20);
}
