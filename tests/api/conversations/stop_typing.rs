use inkbox_imessage::proto::{DeliveryKind, StopTypingIndicatorRequest};

use super::deliveries;
use super::typing_duration::{start, start_with, types_for, until_no_task, until_shown};
use crate::support::assertions::assert_alike;
use crate::support::{Scene, assert_reason};

pub(super) fn stop(id: &str) -> StopTypingIndicatorRequest {
    StopTypingIndicatorRequest { conversation_id: id.to_owned() }
}

#[tokio::test]
async fn it_reaches_the_phone_also_where_there_is_no_indicator() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::start().await;
    for stops in 1..=2 {
        agent.stop_typing_indicator(stop(&id)).await.unwrap();
        let sent = deliveries(&admin, &id).await;
        assert_eq!(sent.len(), stops);
        assert!(sent.iter().all(|sent| sent.kind() == DeliveryKind::TypingStop && !sent.failed), "{sent:?}");
    }
}

#[tokio::test]
async fn it_ends_a_duration_and_nothing_is_shown_afterwards() {
    let Scene { app, conversation_id: id, admin, agent, .. } = start().await;
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    until_shown(&admin, &id, 3).await;
    agent.stop_typing_indicator(stop(&id)).await.unwrap();
    assert_eq!(app.parts.typing.count(), 0);
    until_no_task(&app).await;
    let sent = deliveries(&admin, &id).await;
    assert_eq!(sent.last().unwrap().kind(), DeliveryKind::TypingStop);
    assert_eq!(sent.iter().filter(|sent| sent.kind() == DeliveryKind::TypingStop).count(), 1);
}

#[tokio::test]
async fn the_repetition_ends_also_if_the_line_fails_and_if_the_human_opted_out() {
    // The line fails every odd call. No renewal comes in between.
    let Scene { app, conversation_id: id, human, thread, agent, .. } = start_with("+15005550002", None).await;
    assert_reason(agent.send_typing_indicator(types_for(&id, 600)).await, "UPSTREAM_FAILED");
    assert_eq!(app.parts.typing.count(), 0, "a call that fails starts none");
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    assert_eq!(app.parts.typing.count(), 1);
    assert_reason(agent.stop_typing_indicator(stop(&id)).await, "UPSTREAM_FAILED");
    assert_eq!(app.parts.typing.count(), 0);

    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    human.says(&thread, "STOP").await;
    assert_reason(agent.stop_typing_indicator(stop(&id)).await, "RECIPIENT_OPTED_OUT");
    assert_eq!(app.parts.typing.count(), 0);
}

#[tokio::test]
async fn an_indicator_that_the_caller_may_not_see_goes_on() {
    let Scene { app, conversation_id: id, agent, .. } = start().await;
    agent.send_typing_indicator(types_for(&id, 600)).await.unwrap();
    let sibling = app.agent(&app.identity("org_a").await).await;
    let foreign = app.admin("org_b").await;
    for stranger in [sibling, foreign] {
        let unknown = stranger.stop_typing_indicator(stop("01890a5d-ac96-774b-bcce-b302099a8057")).await;
        let answer = stranger.stop_typing_indicator(stop(&id)).await;
        assert_reason(answer.clone(), "NOT_FOUND");
        assert_alike(answer, unknown);
        assert_eq!(app.parts.typing.count(), 1);
    }
}
