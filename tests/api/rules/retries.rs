//! `grpc-retry-pushback-ms`: what gRPC libraries do after an error by themselves.

use std::time::Duration;

use http::HeaderMap;
use inkbox_imessage::proto::WhoAmIRequest;
use tonic::Status;
use tonic_types::StatusExt as _;

use crate::support::http2::{EMPTY_MESSAGE, call};
use crate::support::metrics::Scrape;
use crate::support::{TestApp, eventually};

const WHO_AM_I: &str = "/inkbox.imessage.v1.ApiKeyService/WhoAmI";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// The delay of `RetryInfo` and that of the trailer.
#[track_caller]
fn delays(status: &Status) -> (Option<Duration>, i64) {
    let retry = status.get_details_retry_info().map(|info| info.retry_delay.unwrap());
    let pushback = status.metadata().get("grpc-retry-pushback-ms").expect("a pushback");
    (retry, pushback.to_str().unwrap().parse().unwrap())
}

fn status_of(headers: &HeaderMap) -> Status {
    Status::from_header_map(headers).expect("a status")
}

#[tokio::test]
async fn an_error_that_a_retry_can_cure_carries_its_delay_in_headers() {
    let app = TestApp::with(|settings| settings.admission.calls = 0).await;
    let key = app.admin("org_a").await.secret.unwrap();
    let answer = call(&app, WHO_AM_I, &key, &EMPTY_MESSAGE).await;
    assert!(answer.trailers.is_empty());
    let (delay, pushback) = delays(&status_of(&answer.headers));
    assert_eq!(i64::try_from(delay.unwrap().as_millis()), Ok(pushback));
}

#[tokio::test]
async fn an_error_that_no_retry_cures_forbids_it_in_headers() {
    let app = TestApp::start().await;
    let key = app.admin("org_a").await.secret.unwrap();
    let paths = [(WHO_AM_I, ""), ("/none.None/None", &*key), ("/grpc.health.v1.Health/None", "")];
    for (path, key) in paths {
        let answer = call(&app, path, key, &EMPTY_MESSAGE).await;
        assert!(answer.trailers.is_empty());
        assert_eq!(delays(&status_of(&answer.headers)), (None, -1), "{path}");
    }
    let answer = call(&app, WHO_AM_I, &key, &EMPTY_MESSAGE).await;
    assert!(!answer.headers.contains_key("grpc-retry-pushback-ms"), "a success has none");
    assert!(!answer.trailers.contains_key("grpc-retry-pushback-ms"), "a success has none");
}

#[tokio::test]
async fn an_error_after_messages_carries_its_delay_in_trailers() {
    let app = TestApp::start().await;
    let watched = call(&app, WATCH, "", &EMPTY_MESSAGE);
    let (answer, ()) = tokio::join!(watched, async {
        let labels = [("method", "Watch")];
        eventually("the watch runs", async || {
            let scrape = Scrape::of(app.metrics).await;
            (scrape.value("inkbox_grpc_requests_in_flight", &labels) == Some(1.0)).then_some(())
        })
        .await;
        app.stop.cancel();
    });
    assert!(!answer.body.is_empty() && !answer.headers.contains_key("grpc-status"));
    let status = status_of(&answer.trailers);
    assert_eq!(delays(&status), (Some(Duration::from_millis(500)), 500));
}

#[tokio::test]
async fn a_database_that_does_not_answer_asks_for_a_retry_after_a_second() {
    let nowhere = sqlx::postgres::PgConnectOptions::new().host("127.0.0.1").port(1);
    let app = TestApp::builder().database(nowhere).launch().await;
    let refused = app.with_secret(&format!("ink_{}", "a".repeat(43))).who_am_i(WhoAmIRequest {}).await;
    let refused = refused.unwrap_err();
    let (delay, pushback) = delays(&refused);
    assert_eq!((delay, pushback), (Some(Duration::from_secs(1)), 1_000), "{refused:?}");
}
