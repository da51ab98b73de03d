use std::time::Duration;

use tokio::time::timeout;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{TestApp, assert_reason};

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test]
async fn a_check_of_an_unknown_service_is_not_found() {
    let app = TestApp::start().await;
    assert_reason(HealthClient::new(app.channel()).check(named("nope")).await, "NOT_FOUND");
}

#[tokio::test]
async fn a_watch_of_an_unknown_service_reports_so_and_stays_open_until_shutdown() {
    let app = TestApp::start().await;
    let mut watch = HealthClient::new(app.channel()).watch(named("nope")).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status().as_str_name(), "SERVICE_UNKNOWN");
    assert!(timeout(Duration::from_millis(500), watch.message()).await.is_err(), "the watch goes on");
    app.stop.cancel();
    assert_reason(watch.message().await, "STREAM_ENDED");
}

#[tokio::test]
async fn a_watch_reports_each_change_of_its_entry_once() {
    let app = TestApp::start().await;
    let mut client = HealthClient::new(app.channel());
    let mut readiness = client.watch(named("readiness")).await.unwrap().into_inner();
    let mut liveness = client.watch(named("liveness")).await.unwrap().into_inner();
    for watch in [&mut readiness, &mut liveness] {
        assert_eq!(watch.message().await.unwrap().unwrap().status().as_str_name(), "SERVING");
    }
    app.stop.cancel();
    assert_eq!(readiness.message().await.unwrap().unwrap().status().as_str_name(), "NOT_SERVING");
    assert_reason(readiness.message().await, "STREAM_ENDED");
    assert_reason(liveness.message().await, "STREAM_ENDED");
}
