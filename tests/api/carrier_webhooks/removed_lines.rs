use inkbox_imessage::domain::{CarrierKind, PhoneNumber};
use inkbox_imessage::store;

use super::{Scene, assert_answer, bluebubbles_event, sendblue_echo, sendblue_text};

/// The human disconnects, and the operator removes the line.
async fn remove(scene: &Scene, line: &str) {
    scene.human.disconnects(&scene.identity).await;
    let number = PhoneNumber::parse(line).unwrap();
    store::lines::remove(&scene.app.parts.db, &number).await.unwrap().unwrap();
}

/// Sendblue has one webhook for the lines of an account, so that its events are acknowledged.
#[tokio::test]
async fn texts_and_updates_of_a_removed_line_of_sendblue_are_acknowledged_and_not_stored() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    remove(&scene, &talk.line).await;
    let text = scene.sendblue(&sendblue_text(&talk.line, "E-1", "late")).await;
    assert_answer(&text, 200, "no_such_line");
    let update = scene.sendblue_status(&sendblue_echo(&talk.line, "sent-1", "DELIVERED")).await;
    assert_answer(&update, 200, "no_such_line");
    assert_eq!((scene.rows("messages").await, talk.messages().await.len()), (1, 1));
}

/// Each Mac has a URL of its own, so that an operator who forgot to delete it finds the error on the Mac.
#[tokio::test]
async fn texts_of_a_removed_line_of_bluebubbles_are_404_and_not_stored() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    remove(&scene, &talk.line).await;
    let text = scene.bluebubbles(&talk.line, &bluebubbles_event("new-message", "G-1", "late")).await;
    assert_answer(&text, 404, "no_such_line");
    assert_eq!((scene.rows("messages").await, talk.messages().await.len()), (1, 1));
}
