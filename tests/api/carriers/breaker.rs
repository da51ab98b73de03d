use std::time::Duration;

use inkbox_imessage::carriers::BreakerSettings;
use inkbox_imessage::domain::CarrierKind;
use tokio::time::Instant;

use super::sendblue::READ;
use super::{CALL_TIMEOUT, Scene, assert_upstream};
use crate::support::carrier::{Reply, reply};
use crate::support::eventually;
use crate::support::metrics::Scrape;

/// Maximum duration of a call while the breaker is open. It runs two queries and sends no request.
const FAIL_FAST: Duration = Duration::from_millis(50);

async fn scene(pause: Duration, call_timeout: Duration) -> Scene {
    Scene::sendblue_with(call_timeout, |carriers| carriers.breaker = BreakerSettings { min_calls: 3, pause })
        .await
}

#[tokio::test]
async fn calls_fail_fast_while_the_breaker_is_open_and_health_and_metrics_show_it() {
    let scene = scene(Duration::from_hours(1), Duration::from_millis(300)).await;
    assert_eq!(scene.app.health("line.sendblue").await, Some("SERVING"));
    scene.carrier.respond("mark-read", [Reply::Never]);
    for _ in 0..3 {
        assert!(assert_upstream(scene.mark_read().await).is_some());
    }
    assert!(scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
    // The fastest of several, since the machine may be busy with other tests.
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        let began = Instant::now();
        assert!(assert_upstream(scene.mark_read().await).is_some(), "a retry can succeed");
        fastest = fastest.min(began.elapsed());
    }
    assert!(fastest < FAIL_FAST, "{fastest:?}");
    assert_eq!(scene.carrier.request_count("mark-read"), 3, "no request is sent");
    eventually("health shows it", async || {
        (scene.app.health("line.sendblue").await == Some("NOT_SERVING")).then_some(())
    })
    .await;
    let open = [("carrier", "sendblue")];
    assert_eq!(Scrape::of(scene.app.metrics).await.value("inkbox_line_breaker_open", &open), Some(1.0));
    assert_eq!(scene.app.health("").await, Some("SERVING"), "the service works for other carriers");
    assert_eq!(scene.app.health("line.sandbox").await, None);
}

#[tokio::test]
async fn the_breaker_closes_after_a_successful_probe() {
    let scene = scene(Duration::from_millis(100), CALL_TIMEOUT).await;
    scene.carrier.respond("mark-read", [reply(503, "")]);
    for _ in 0..3 {
        assert!(assert_upstream(scene.mark_read().await).is_some());
    }
    assert!(scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
    eventually("a probe is sent", async || {
        let _ = scene.mark_read().await;
        (scene.carrier.request_count("mark-read") > 3).then_some(())
    })
    .await;
    assert!(scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue), "it is still down");
    scene.carrier.respond("mark-read", [reply(200, READ)]);
    eventually("the carrier is back", async || scene.mark_read().await.ok()).await;
    assert!(!scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
    eventually("health shows it", async || {
        (scene.app.health("line.sendblue").await == Some("SERVING")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_rejected_call_does_not_count_as_a_failure_of_the_carrier() {
    let scene = scene(Duration::from_hours(1), CALL_TIMEOUT).await;
    for reply in [
        reply(400, r#"{"status":"ERROR","message":"no route mapping"}"#),
        reply(200, r#"{"status":"ERROR","error_code":4002}"#),
        reply(401, ""),
        Reply::WithHeader(429, "retry-after", "1"),
        reply(503, r#"{"error_code":5003}"#),
    ] {
        scene.carrier.respond("mark-read", [reply]);
        for _ in 0..4 {
            assert_upstream(scene.mark_read().await);
        }
    }
    assert!(!scene.app.parts.carriers.breaker_is_open(CarrierKind::Sendblue));
    assert_eq!(scene.carrier.request_count("mark-read"), 20);
}
