//! Numbers in other notations than E.164.

use inkbox_imessage::domain::CarrierKind;
use serde_json::json;

use super::{HUMAN, Scene, assert_answer, bluebubbles_event, sendblue_text};

#[tokio::test]
async fn a_national_number_is_of_the_country_of_the_line() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    for (at, notation) in
        ["(555) 123-0001", "555.123.0001", "1 555 123 0001", "001 555 123 0001", "tel:+1-555-123-0001"]
            .into_iter()
            .enumerate()
    {
        let mut body = sendblue_text(&talk.line, &format!("E-{at}"), "hi");
        body["from_number"] = json!(notation);
        assert_answer(&scene.sendblue(&body).await, 200, "stored");
    }
    let messages = talk.messages().await;
    assert_eq!(messages.len(), 6);
    assert!(messages.iter().all(|message| message.remote_number == HUMAN));
}

#[tokio::test]
async fn the_number_of_a_line_may_have_separators() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    let (country, rest) = talk.line.split_at(2);
    let mut body = sendblue_text(&talk.line, "E-1", "hi");
    body["sendblue_number"] = json!(format!("{country} {rest}"));
    assert_answer(&scene.sendblue(&body).await, 200, "stored");
}

#[tokio::test]
async fn a_short_code_and_a_name_are_acknowledged_and_not_stored() {
    let scene = Scene::of(CarrierKind::BlueBubbles).await;
    let talk = scene.talk().await;
    for (at, sender) in ["72975", "tel:72975", "ACME", "+1-800-ACME"].into_iter().enumerate() {
        let mut body = bluebubbles_event("new-message", &format!("G-{at}"), "Your code is 1234");
        body["data"]["handle"]["address"] = json!(sender);
        assert_answer(&scene.bluebubbles(&talk.line, &body).await, 200, "ignored");
    }
    assert_eq!(talk.messages().await.len(), 1);
}

#[tokio::test]
async fn a_malformed_number_is_refused() {
    let scene = Scene::of(CarrierKind::Sendblue).await;
    let talk = scene.talk().await;
    for sender in ["+", "1234567890123456789012345"] {
        let mut body = sendblue_text(&talk.line, "E-1", "hi");
        body["from_number"] = json!(sender);
        assert_answer(&scene.sendblue(&body).await, 422, "refused");
    }
}
