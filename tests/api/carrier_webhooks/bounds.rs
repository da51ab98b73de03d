use std::time::{Duration, Instant};

use inkbox_imessage::domain::CarrierKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{SENDBLUE_SECRET, Scene, assert_answer, sendblue_text};
use crate::support::app::ROUTER_LINE;
use crate::support::{PATIENCE, eventually};

/// Maximum number of webhooks in progress in one process.
const MAX_IN_FLIGHT: usize = 64;

/// After this time a connection that has sent no request is closed.
const HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// Sends a request without the rest of its body.
async fn start_request(scene: &Scene, secret: &str) -> TcpStream {
    let mut stream = TcpStream::connect(scene.webhooks).await.unwrap();
    let head = format!(
        "POST /webhooks/sendblue HTTP/1.1\r\nhost: x\r\nsb-signing-secret: {secret}\r\ncontent-length: 2\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn webhooks_beyond_the_maximum_in_progress_get_503_and_a_retry_delay() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut strangers = Vec::new();
    let mut carriers = Vec::new();
    for _ in 0..MAX_IN_FLIGHT {
        strangers.push(start_request(&scene, "wrong").await);
        carriers.push(start_request(&scene, SENDBLUE_SECRET).await);
    }
    let body = sendblue_text(&talk.line, "E-1", "one");
    eventually("the maximum is reached", async || {
        let answer = scene.sendblue(&body).await;
        (answer.status == 503 && answer.body == "overloaded" && answer.retry_after.is_some()).then_some(())
    })
    .await;
    let mut one = carriers.pop().unwrap();
    one.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, one.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    eventually("a permit is free again", async || (scene.sendblue(&body).await.status == 200).then_some(()))
        .await;
}

#[tokio::test]
async fn a_webhook_is_received_at_once_although_silent_connections_use_every_place() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(scene.webhooks).await.unwrap());
    }
    let started = Instant::now();
    assert_answer(&scene.sendblue(&sendblue_text(&talk.line, "E-1", "one")).await, 200, "stored");
    assert!(started.elapsed() < HEADER_TIMEOUT, "it waited for the end of another connection");
}

#[tokio::test]
async fn an_incomplete_header_or_body_times_out() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let mut no_head = TcpStream::connect(scene.webhooks).await.unwrap();
    no_head.write_all(b"POST /webhooks/sendblue HTTP/1.1\r\nhost: ").await.unwrap();
    let mut no_body = start_request(&scene, SENDBLUE_SECRET).await;
    let (mut of_no_head, mut of_no_body) = (String::new(), String::new());
    let both = async {
        tokio::join!(no_head.read_to_string(&mut of_no_head), no_body.read_to_string(&mut of_no_body))
    };
    let (head, body) = timeout(PATIENCE, both).await.unwrap();
    head.unwrap();
    body.unwrap();
    assert!(!of_no_head.contains("200 OK"), "{of_no_head}");
    assert!(of_no_body.starts_with("HTTP/1.1 408 "), "{of_no_body}");
    assert!(of_no_body.ends_with("too_slow"), "{of_no_body}");
}

#[tokio::test]
async fn a_drain_accepts_no_connection_and_finishes_webhooks_in_progress() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let closed = scene.phone.gate().lock_owned().await;
    let body = sendblue_text(ROUTER_LINE, "C-1", "list");
    let under_way = scene.sendblue(&body);
    let draining = async {
        eventually("the reply is being sent", async || (!scene.phone.sent().is_empty()).then_some(())).await;
        scene.app.stop.cancel();
        eventually("no connection is accepted", async || {
            TcpStream::connect(scene.webhooks).await.is_err().then_some(())
        })
        .await;
        drop(closed);
    };
    let (answer, ()) = tokio::join!(under_way, draining);
    assert_answer(&answer, 200, "help");
    timeout(PATIENCE, scene.app.until_stopped()).await.unwrap();
}

#[tokio::test]
async fn a_webhook_runs_to_completion_after_the_carrier_disconnects() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let closed = scene.phone.gate().lock_owned().await;
    let body = sendblue_text(ROUTER_LINE, "C-1", "list").to_string();
    let mut stream = TcpStream::connect(scene.webhooks).await.unwrap();
    let request = format!(
        "POST /webhooks/sendblue HTTP/1.1\r\nhost: x\r\nsb-signing-secret: {SENDBLUE_SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    eventually("it is dispatched", async || (!scene.phone.sent().is_empty()).then_some(())).await;
    drop(stream);
    // The task runs until the carrier has responded.
    assert_eq!(scene.app.parts.tasks.len(), 1);
    drop(closed);
    eventually("it has ended", async || scene.app.parts.tasks.is_empty().then_some(())).await;
}
