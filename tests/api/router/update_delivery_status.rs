use inkbox_imessage::proto::{
    DeliveryError, DeliveryStatus, GetMessageRequest, Message, UpdateDeliveryStatusRequest,
};

use crate::messages::send;
use crate::support::app::POOL_LINES;
use crate::support::callers::Caller;
use crate::support::{Human, Scene, TestApp, assert_fields, assert_reason};

/// A sent message, and the callers that update and read it.
struct Sent {
    app: TestApp,
    agent: Caller,
    router: Caller,
    line: String,
    id: String,
}

impl Sent {
    async fn one() -> Self {
        let Scene { app, thread, conversation_id, agent, .. } = Scene::start().await;
        let id = send(&agent, &conversation_id, "hi").await.id;
        Self { agent, router: app.router().await, line: thread.line, id, app }
    }

    fn update(&self, status: DeliveryStatus) -> UpdateDeliveryStatusRequest {
        UpdateDeliveryStatusRequest {
            line_number: self.line.clone(),
            // The sandbox knows a message under our own id.
            provider_message_id: self.id.clone(),
            status: status.into(),
            ..Default::default()
        }
    }

    async fn apply(&self, update: UpdateDeliveryStatusRequest) -> DeliveryStatus {
        self.router.update_delivery_status(update).await.unwrap().status()
    }

    async fn message(&self) -> Message {
        let request = GetMessageRequest { message_id: self.id.clone(), agent_identity_id: None };
        self.agent.get_message(request).await.unwrap().message.unwrap()
    }
}

#[tokio::test]
async fn a_status_moves_forward_only() {
    use DeliveryStatus::{Accepted, Delivered, Pending, Queued, Registered, Sent as SentOn};
    let sent = Sent::one().await;
    let steps = [
        (Registered, Queued),
        (Pending, Queued),
        (Accepted, Accepted),
        (Queued, Accepted),
        (SentOn, SentOn),
        (Accepted, SentOn),
        (Delivered, Delivered),
        (SentOn, Delivered),
    ];
    for (told, stands) in steps {
        assert_eq!(sent.apply(sent.update(told)).await, stands, "{told:?}");
        assert_eq!(sent.message().await.status(), stands, "{told:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_delivery_is_the_end() {
    use DeliveryStatus::{Declined, Delivered, Error};
    for end in [Delivered, Declined, Error] {
        let sent = Sent::one().await;
        assert_eq!(sent.apply(sent.update(end)).await, end);
        for other in [DeliveryStatus::Sent, Delivered, Declined, Error] {
            assert_eq!(sent.apply(sent.update(other)).await, end, "{other:?} after {end:?}");
        }
        assert_eq!(sent.message().await.status(), end);
    }
}

#[tokio::test]
async fn the_error_is_kept_with_the_status_it_came_with() {
    let sent = Sent::one().await;
    let error = |code: &str| Some(DeliveryError { code: code.to_owned(), message: format!("{code}: no") });
    let premature = UpdateDeliveryStatusRequest { error: error("1"), ..sent.update(DeliveryStatus::Sent) };
    sent.apply(premature).await;
    assert_eq!(sent.message().await.error, None, "nothing went wrong yet");
    sent.apply(UpdateDeliveryStatusRequest { error: error("22"), ..sent.update(DeliveryStatus::Error) })
        .await;
    assert_eq!(sent.message().await.error, error("22"));
    sent.apply(UpdateDeliveryStatusRequest { error: error("3"), ..sent.update(DeliveryStatus::Declined) })
        .await;
    assert_eq!(sent.message().await.error, error("22"), "the first end stands");
}

#[tokio::test]
async fn a_downgrade_sticks_and_is_taken_from_late_news_too() {
    let sent = Sent::one().await;
    sent.apply(sent.update(DeliveryStatus::Delivered)).await;
    assert!(!sent.message().await.was_downgraded);
    let late = UpdateDeliveryStatusRequest { was_downgraded: true, ..sent.update(DeliveryStatus::Sent) };
    assert_eq!(sent.apply(late).await, DeliveryStatus::Delivered);
    assert!(sent.message().await.was_downgraded);
    sent.apply(sent.update(DeliveryStatus::Delivered)).await;
    let message = sent.message().await;
    assert!(message.was_downgraded);
    assert_eq!(message.status(), DeliveryStatus::Delivered);
}

#[tokio::test]
async fn news_that_changes_something_moves_updated_at_and_other_news_does_not() {
    let sent = Sent::one().await;
    let before = sent.message().await.updated_at;
    sent.apply(sent.update(DeliveryStatus::Queued)).await;
    assert_eq!(sent.message().await.updated_at, before);
    sent.app.clock.advance(chrono::TimeDelta::minutes(1));
    sent.apply(sent.update(DeliveryStatus::Sent)).await;
    let after = sent.message().await.updated_at;
    assert!(after.unwrap().seconds >= before.unwrap().seconds + 60);
}

#[tokio::test]
async fn news_at_the_same_time_ends_at_the_furthest() {
    use DeliveryStatus::{Accepted, Delivered, Queued, Sent as SentOn};
    let sent = Sent::one().await;
    let calls: Vec<_> = [Delivered, SentOn, Accepted, Queued, SentOn, Accepted]
        .map(|status| {
            let (router, update) = (sent.router.clone(), sent.update(status));
            tokio::spawn(async move { router.update_delivery_status(update).await.unwrap() })
        })
        .into();
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(sent.message().await.status(), Delivered);
}

#[tokio::test]
async fn what_the_line_does_not_know_is_not_found() {
    let sent = Sent::one().await;
    let good = sent.update(DeliveryStatus::Delivered);
    let other_line = POOL_LINES.iter().find(|line| **line != sent.line).unwrap();
    let unknown = [
        UpdateDeliveryStatusRequest { provider_message_id: "never heard of".to_owned(), ..good.clone() },
        UpdateDeliveryStatusRequest { line_number: (*other_line).to_owned(), ..good.clone() },
        UpdateDeliveryStatusRequest { line_number: "+12025550199".to_owned(), ..good },
    ];
    for update in unknown {
        assert_reason(sent.router.update_delivery_status(update).await, "NOT_FOUND");
    }
    assert_eq!(sent.message().await.status(), DeliveryStatus::Queued);
}

#[tokio::test]
async fn a_text_of_a_human_has_no_delivery_to_tell_of() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let text = human.text(&thread.line, "hello");
    human.router.receive_message(text.clone()).await.unwrap();
    let update = UpdateDeliveryStatusRequest {
        line_number: thread.line,
        provider_message_id: text.provider_message_id,
        status: DeliveryStatus::Error.into(),
        ..Default::default()
    };
    assert_reason(human.router.update_delivery_status(update).await, "NOT_FOUND");
}

#[tokio::test]
async fn news_of_one_message_changes_no_other() {
    let sent = Sent::one().await;
    let foreign = sent.app.identity("org_b").await;
    let human = Human::new(&sent.app, "+15551230002").await;
    let (_, conversation_id) = human.converses(&foreign, "hello").await;
    let agent = sent.app.agent(&foreign).await;
    let other = send(&agent, &conversation_id, "hi").await;
    sent.apply(sent.update(DeliveryStatus::Delivered)).await;
    let request = GetMessageRequest { message_id: other.id.clone(), agent_identity_id: None };
    assert_eq!(agent.get_message(request).await.unwrap().message.unwrap(), other);
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once_and_before_scope() {
    let sent = Sent::one().await;
    let admin = sent.app.admin("org_a").await;
    let bad = UpdateDeliveryStatusRequest::default();
    for caller in [&sent.router, &admin, &sent.agent] {
        let fields = ["line_number", "provider_message_id", "status"];
        assert_fields(caller.update_delivery_status(bad.clone()).await, &fields);
        for status in [DeliveryStatus::Received.into(), 10, -1] {
            let update = UpdateDeliveryStatusRequest { status, ..sent.update(DeliveryStatus::Sent) };
            assert_fields(caller.update_delivery_status(update).await, &["status"]);
        }
        let error = Some(DeliveryError { code: "\0".to_owned(), message: "\0".to_owned() });
        let update = UpdateDeliveryStatusRequest { error, ..sent.update(DeliveryStatus::Error) };
        assert_fields(caller.update_delivery_status(update).await, &["error.code", "error.message"]);
    }
    for caller in [&admin, &sent.agent] {
        let answer = caller.update_delivery_status(sent.update(DeliveryStatus::Sent)).await;
        assert_reason(answer, "SCOPE_INSUFFICIENT");
    }
    assert_reason(sent.app.stranger().update_delivery_status(bad).await, "API_KEY_INVALID");
}
