use std::time::Duration;

use inkbox_imessage::proto::{DeliveryKind, ListDeliveriesRequest, SendTypingIndicatorRequest};
use tokio::time::timeout;

use super::{delivered, send, to_conversation};
use crate::support::{Human, Scene, TestApp, eventually};

fn typing(conversation_id: &str) -> SendTypingIndicatorRequest {
    SendTypingIndicatorRequest { conversation_id: conversation_id.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_typing_call_never_reaches_the_line_after_a_send_that_began_later() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::start().await;
    send(&agent, &id, "so that the key is known").await;
    for round in 0..100 {
        // Polled in this order, on one connection and one thread: the typing call is the first to arrive.
        let (shown, sent) = tokio::join!(
            agent.send_typing_indicator(typing(&id)),
            agent.send_message(to_conversation(&id, "now"))
        );
        shown.unwrap();
        sent.unwrap();
        let kinds: Vec<_> = delivered(&admin, &id).await.into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(kinds[kinds.len() - 2..], [DeliveryKind::Typing, DeliveryKind::Message], "round {round}");
    }
}

#[tokio::test]
async fn a_typing_indicator_that_a_message_waits_behind_is_not_shown() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550003").await;
    let first = tokio::spawn({
        let (agent, id) = (agent.clone(), id.clone());
        async move { send(&agent, &id, "first").await }
    });
    eventually("the line has the first message", async || {
        (!delivered(&admin, &id).await.is_empty()).then_some(())
    })
    .await;
    let (shown, sent) = tokio::join!(
        agent.send_typing_indicator(typing(&id)),
        agent.send_message(to_conversation(&id, "second"))
    );
    shown.unwrap();
    sent.unwrap();
    first.await.unwrap();
    let expected = [
        (DeliveryKind::Message, Some("first".to_owned())),
        (DeliveryKind::Message, Some("second".to_owned())),
    ];
    assert_eq!(delivered(&admin, &id).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_send_waits_a_second_for_an_earlier_typing_call_and_then_cancels_it() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::with_human("+15005550003").await;
    let shown = tokio::spawn({
        let (agent, id) = (agent.clone(), id.clone());
        async move { agent.send_typing_indicator(typing(&id)).await }
    });
    eventually("the line has the typing call", async || {
        (!delivered(&admin, &id).await.is_empty()).then_some(())
    })
    .await;
    send(&agent, &id, "done").await;
    shown.await.unwrap().unwrap();
    let request = ListDeliveriesRequest { conversation_id: Some(id), ..Default::default() };
    let deliveries = admin.list_deliveries(request).await.unwrap().deliveries;
    let at = |n: usize| {
        let at = deliveries[n].at.as_ref().unwrap();
        Duration::new(at.seconds.try_into().unwrap(), at.nanos.try_into().unwrap())
    };
    assert_eq!((deliveries[0].kind(), deliveries[1].kind()), (DeliveryKind::Typing, DeliveryKind::Message));
    let waited = at(1).saturating_sub(at(0));
    assert!(waited >= Duration::from_secs(1), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_slow_conversation_does_not_delay_another() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (_, slow) = Human::new(&app, "+15005550003").await.converses(&identity, "hello").await;
    let (_, quick) = Human::new(&app, "+15551230001").await.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    // More than there are database sessions: a session is not held while the line is busy either.
    let calls: Vec<_> = (0..12)
        .map(|n| {
            let (agent, slow) = (agent.clone(), slow.clone());
            tokio::spawn(async move { agent.send_message(to_conversation(&slow, &n.to_string())).await })
        })
        .collect();
    eventually("the line has a message", async || (!delivered(&admin, &slow).await.is_empty()).then_some(()))
        .await;
    let quickly = async {
        agent.send_typing_indicator(typing(&quick)).await.unwrap();
        send(&agent, &quick, "quick").await;
    };
    timeout(Duration::from_millis(1_500), quickly).await.expect("not after the slow one");
    assert_eq!(delivered(&admin, &slow).await.len(), 1, "one at a time on the slow conversation");
    for call in calls {
        call.abort();
    }
}
