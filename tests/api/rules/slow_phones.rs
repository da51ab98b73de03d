//! Calls that wait for a slow phone: what they asked for is checked again when their turn comes, and waiting is bounded.

use std::time::{Duration, Instant};

use inkbox_imessage::proto::message_service_client::MessageServiceClient;
use inkbox_imessage::proto::router_service_client::RouterServiceClient;
use inkbox_imessage::proto::{
    ContactRuleAction, CreateContactRuleRequest, DeliveryStatus, Identity, ListConnectionsRequest,
    SendTypingIndicatorRequest, UpdateIdentityRequest,
};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::messages::{deliveries, messages_of, to_conversation};
use crate::support::app::ROUTER_LINE;
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, assert_reason, eventually};

/// The sandbox takes 2 s for this number.
const SLOW: &str = "+15005550003";
/// The sandbox never answers for this number.
const NEVER: &str = "+15005550004";

struct Scene {
    app: TestApp,
    identity: Identity,
    human: Human,
    admin: Caller,
    agent: Caller,
    conversation_id: String,
}

impl Scene {
    async fn with(number: &str) -> Self {
        let app = TestApp::with(|settings| settings.line_time_out = Duration::from_secs(10)).await;
        let identity = app.identity("org_a").await;
        let human = Human::new(&app, number).await;
        let (_, conversation_id) = human.converses(&identity, "hello").await;
        let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
        Self { app, identity, human, admin, agent, conversation_id }
    }

    /// Begins a send, and returns when it is at the carrier or waits behind `others`.
    async fn begin_send(&self, text: &str, others: usize) -> JoinHandle<Result<(), Status>> {
        let (agent, request) = (self.agent.clone(), to_conversation(&self.conversation_id, text));
        let sending = tokio::spawn(async move { agent.send_message(request).await.map(drop) });
        eventually("the send is under way", async || {
            let queues = self.app.parts.queues.stats();
            let at_carrier = others > 0 || !deliveries(&self.admin).await.is_empty();
            (queues.busy == 1 && queues.waiting >= others && at_carrier).then_some(())
        })
        .await;
        sending
    }

    async fn delivered(&self) -> Vec<String> {
        deliveries(&self.admin).await.into_iter().filter_map(|delivery| delivery.text).collect()
    }

    /// Asserts that what waited was refused, and that only the first message reached the phone.
    async fn assert_only_the_first_was_sent(&self, sends: Vec<JoinHandle<Result<(), Status>>>, reason: &str) {
        let acknowledged = self.delivered().await;
        assert_eq!(acknowledged, ["first"], "when the change was acknowledged");
        let stored = messages_of(&self.admin, &self.conversation_id).await;
        assert_eq!(stored[0].status(), DeliveryStatus::Queued, "the first message was no longer on its way");
        let mut sends = sends.into_iter();
        sends.next().unwrap().await.unwrap().unwrap();
        for send in sends {
            assert_reason(send.await.unwrap(), reason);
        }
        assert_eq!(self.delivered().await, ["first"]);
    }
}

#[tokio::test]
async fn no_message_reaches_the_phone_after_a_block_was_acknowledged() {
    let scene = Scene::with(SLOW).await;
    let sends = vec![
        scene.begin_send("first", 0).await,
        scene.begin_send("second", 1).await,
        scene.begin_send("third", 2).await,
    ];
    let block = CreateContactRuleRequest {
        agent_identity_id: Some(scene.identity.id.clone()),
        action: ContactRuleAction::Block.into(),
        match_target: SLOW.to_owned(),
    };
    scene.admin.create_contact_rule(block).await.unwrap();
    scene.assert_only_the_first_was_sent(sends, "RECIPIENT_BLOCKED").await;
}

#[tokio::test]
async fn no_message_reaches_the_phone_after_imessage_was_disabled_for_the_identity() {
    let scene = Scene::with(SLOW).await;
    let sends = vec![scene.begin_send("first", 0).await, scene.begin_send("second", 1).await];
    let off = UpdateIdentityRequest {
        identity_id: scene.identity.id.clone(),
        imessage_enabled: Some(false),
        ..Default::default()
    };
    scene.admin.update_identity(off).await.unwrap();
    scene.assert_only_the_first_was_sent(sends, "IDENTITY_NOT_ENABLED").await;
}

#[tokio::test]
async fn eight_calls_wait_for_a_conversation_and_a_further_one_is_refused() {
    let scene = Scene::with(SLOW).await;
    let mut sends = vec![scene.begin_send("first", 0).await];
    for number in 1..=8 {
        sends.push(scene.begin_send("waits", number).await);
    }
    let refused = scene.agent.send_message(to_conversation(&scene.conversation_id, "too many")).await;
    assert!(assert_reason(refused, "OVERLOADED").retry_info().is_some());
    sends.iter().for_each(JoinHandle::abort);
    let stored = messages_of(&scene.agent, &scene.conversation_id).await;
    assert!(stored.iter().all(|message| message.text() != "too many"));
}

#[tokio::test]
async fn a_send_whose_caller_left_the_queue_is_never_sent() {
    let scene = Scene::with(SLOW).await;
    let first = scene.begin_send("first", 0).await;
    let mut late = scene.agent.request(to_conversation(&scene.conversation_id, "late"));
    late.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let mut client = MessageServiceClient::new(scene.agent.channel.clone());
    let late = client.send_message(late).await.unwrap_err();
    // The client has the same deadline, and may end the call first.
    assert!(matches!(late.code(), Code::DeadlineExceeded | Code::Cancelled), "{late:?}");
    first.await.unwrap().unwrap();
    eventually("the queue is empty", async || (scene.app.parts.queues.stats().busy == 0).then_some(())).await;
    assert_eq!(scene.delivered().await, ["first"]);
    assert_eq!(scene.app.parts.admission.carrier_calls.used(), 0);
}

#[tokio::test]
async fn a_conversation_that_is_not_visible_reads_like_none_at_once_however_busy_it_is() {
    let scene = Scene::with(SLOW).await;
    let other = scene.app.identity("org_a").await;
    let other = scene.app.agent(&other).await;
    let first = scene.begin_send("first", 0).await;
    let began = Instant::now();
    let request =
        SendTypingIndicatorRequest { conversation_id: scene.conversation_id.clone(), ..Default::default() };
    assert_reason(other.send_typing_indicator(request).await, "NOT_FOUND");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(!first.is_finished());
}

#[tokio::test]
async fn a_typing_indicator_that_hangs_gives_way_to_a_message() {
    let scene = Scene::with(NEVER).await;
    let (agent, id) = (scene.agent.clone(), scene.conversation_id.clone());
    let began = Instant::now();
    let typing = tokio::spawn(async move {
        agent
            .send_typing_indicator(SendTypingIndicatorRequest { conversation_id: id, ..Default::default() })
            .await
    });
    eventually("the indicator is under way", async || {
        (!deliveries(&scene.admin).await.is_empty()).then_some(())
    })
    .await;
    let _send = scene.begin_send("the message", 1).await;
    typing.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    eventually("the message is sent", async || (scene.delivered().await == ["the message"]).then_some(()))
        .await;
}

#[tokio::test]
async fn a_disconnect_whose_caller_left_is_completed() {
    let scene = Scene::with(SLOW).await;
    let first = scene.begin_send("first", 0).await;
    let text = scene.human.text(ROUTER_LINE, &format!("disconnect @{}", scene.identity.agent_handle));
    let mut request = scene.human.router.request(text);
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let mut client = RouterServiceClient::new(scene.human.router.channel.clone());
    assert_eq!(client.receive_message(request).await.unwrap_err().code(), Code::DeadlineExceeded);
    first.await.unwrap().unwrap();
    eventually("the human is disconnected", async || {
        let active = scene.admin.list_connections(ListConnectionsRequest::default()).await.unwrap();
        active.connections.is_empty().then_some(())
    })
    .await;
    let send = scene.agent.send_message(to_conversation(&scene.conversation_id, "later")).await;
    assert_reason(send, "CONNECTION_RELEASED");
}
