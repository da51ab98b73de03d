//! Calls of carriers, by how they ended.

use inkbox_imessage::proto::{
    MarkConversationReadRequest, SendMessageRequest, SendTypingIndicatorRequest, send_message_request,
};

use crate::support::metrics::Scrape;
use crate::support::{Human, TestApp, eventually};

#[tokio::test]
async fn calls_of_carriers_are_counted_by_action_and_outcome_and_timed() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let fates = [
        ("+15551230001", "accepted"),
        ("+15005550001", "failed"),
        ("+15005550005", "refused"),
        ("+15005550004", "unknown"),
    ];
    for (number, _) in fates {
        let (_, id) = Human::new(&app, number).await.converses(&identity, "hello").await;
        let request = SendMessageRequest {
            target: Some(send_message_request::Target::ConversationId(id.clone())),
            text: Some("hi".to_owned()),
            ..Default::default()
        };
        let _ = agent.send_message(request).await;
        let request = SendTypingIndicatorRequest { conversation_id: id.clone(), ..Default::default() };
        let _ = agent.send_typing_indicator(request).await;
        let request = MarkConversationReadRequest { conversation_id: id, ..Default::default() };
        let _ = agent.mark_conversation_read(request).await;
    }

    let scrape = Scrape::of(app.metrics).await;
    for action in ["message", "typing", "read_receipt"] {
        for (_, outcome) in fates {
            let labels = [("carrier", "sandbox"), ("action", action), ("outcome", outcome)];
            assert_eq!(scrape.value("inkbox_line_calls_total", &labels), Some(1.0), "{labels:?}");
        }
        let labels = [("carrier", "sandbox"), ("action", action)];
        assert_eq!(scrape.value("inkbox_line_call_duration_seconds_count", &labels), Some(4.0), "{action}");
        // The line time-out of tests: the one that never answers takes as long.
        assert!(scrape.value("inkbox_line_call_duration_seconds_sum", &labels).unwrap() >= 0.3, "{action}");
    }
    assert_eq!(scrape.value("inkbox_line_calls_in_flight", &[("carrier", "sandbox")]), Some(0.0));
}

#[tokio::test]
async fn calls_that_wait_for_an_earlier_one_on_their_conversation_are_shown() {
    let app = TestApp::with(|settings| settings.line_time_out = std::time::Duration::from_mins(1)).await;
    let identity = app.identity("org_a").await;
    let (_, id) = Human::new(&app, "+15005550004").await.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let load = async || {
        let scrape = Scrape::of(app.metrics).await;
        let value = |name| scrape.value(name, &[]).unwrap();
        for (name, deprecated) in [
            ("inkbox_conversation_queues_busy", "inkbox_lanes_busy"),
            ("inkbox_conversation_queue_waiting", "inkbox_lane_calls_waiting"),
        ] {
            assert!((value(name) - value(deprecated)).abs() < f64::EPSILON, "{name}");
        }
        (value("inkbox_conversation_queues_busy"), value("inkbox_conversation_queue_waiting"))
    };
    assert_eq!(load().await, (0.0, 0.0));
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let (agent, conversation_id) = (agent.clone(), id.clone());
            tokio::spawn(async move {
                agent
                    .send_typing_indicator(SendTypingIndicatorRequest {
                        conversation_id,
                        ..Default::default()
                    })
                    .await
            })
        })
        .collect();
    eventually("one is at the line and one waits", async || (load().await == (1.0, 1.0)).then_some(())).await;
    for call in &calls {
        call.abort();
    }
    eventually("the lane is free", async || (load().await == (0.0, 0.0)).then_some(())).await;
}

#[tokio::test]
async fn a_breaker_shows_as_open_and_closed() {
    let app = TestApp::start().await;
    let shown =
        async || Scrape::of(app.metrics).await.value("inkbox_line_breaker_open", &[("carrier", "sendblue")]);
    assert_eq!(shown().await, None);
    app.parts.metrics.carriers.breaker_is("sendblue", true);
    assert_eq!(shown().await, Some(1.0));
    app.parts.metrics.carriers.breaker_is("sendblue", false);
    assert_eq!(shown().await, Some(0.0));
}
