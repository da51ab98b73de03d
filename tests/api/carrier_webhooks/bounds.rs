use inkbox_imessage::domain::CarrierKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{SENDBLUE_SECRET, Scene, assert_answer, sendblue_text};
use crate::support::app::ROUTER_LINE;
use crate::support::{PATIENCE, eventually};

/// Webhooks that one process takes at once.
const IN_FLIGHT: usize = 64;

/// A request whose body does not come.
async fn begun(scene: &Scene, secret: &str) -> TcpStream {
    let mut stream = TcpStream::connect(scene.webhooks).await.unwrap();
    let head = format!(
        "POST /webhooks/sendblue HTTP/1.1\r\nhost: x\r\nsb-signing-secret: {secret}\r\ncontent-length: 2\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn more_webhooks_at_once_than_there_is_room_for_are_to_come_again() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let mut strangers = Vec::new();
    let mut carriers = Vec::new();
    for _ in 0..IN_FLIGHT {
        strangers.push(begun(&scene, "wrong").await);
        carriers.push(begun(&scene, SENDBLUE_SECRET).await);
    }
    let body = sendblue_text(&talk.line, "E-1", "one");
    eventually("there is no room", async || {
        let answer = scene.sendblue(&body).await;
        (answer.status == 503 && answer.body == "overloaded" && answer.retry_after.is_some()).then_some(())
    })
    .await;
    let mut one = carriers.pop().unwrap();
    one.write_all(b"}").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, one.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    eventually("there is room", async || (scene.sendblue(&body).await.status == 200).then_some(())).await;
}

#[tokio::test]
async fn a_webhook_that_does_not_come_is_not_waited_for() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let mut no_head = TcpStream::connect(scene.webhooks).await.unwrap();
    no_head.write_all(b"POST /webhooks/sendblue HTTP/1.1\r\nhost: ").await.unwrap();
    let mut no_body = begun(&scene, SENDBLUE_SECRET).await;
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
async fn a_drain_takes_no_webhook_more_and_finishes_the_one_under_way() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let closed = scene.phone.gate().lock_owned().await;
    let body = sendblue_text(ROUTER_LINE, "C-1", "list");
    let under_way = scene.sendblue(&body);
    let draining = async {
        eventually("the answer is on its way", async || (!scene.phone.sent().is_empty()).then_some(())).await;
        scene.app.stop.cancel();
        eventually("no connection is taken", async || {
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
async fn a_carrier_that_hangs_up_has_still_delivered() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let closed = scene.phone.gate().lock_owned().await;
    let body = sendblue_text(ROUTER_LINE, "C-1", "list").to_string();
    let mut stream = TcpStream::connect(scene.webhooks).await.unwrap();
    let request = format!(
        "POST /webhooks/sendblue HTTP/1.1\r\nhost: x\r\nsb-signing-secret: {SENDBLUE_SECRET}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    eventually("it is acted on", async || (!scene.phone.sent().is_empty()).then_some(())).await;
    drop(stream);
    // It holds its place until the line has answered, and no longer.
    assert_eq!(scene.app.parts.tasks.len(), 1);
    drop(closed);
    eventually("it has ended", async || scene.app.parts.tasks.is_empty().then_some(())).await;
}
