use inkbox_imessage::proto::watch_events_response::Kind;
use inkbox_imessage::proto::*;
use tokio::time::timeout;

use super::{texts, types};
use crate::support::{Human, PATIENCE, Scene, Watcher, eventually};

#[tokio::test]
async fn the_first_response_is_a_heartbeat_and_events_from_before_are_not_sent() {
    let scene = Scene::start().await;
    let mut client = event_service_client::EventServiceClient::new(scene.agent.channel.clone());
    let stream = client.watch_events(scene.agent.request(WatchEventsRequest::default())).await.unwrap();
    let mut stream = stream.into_inner();
    let first = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    assert!(matches!(first.kind, Some(Kind::Heartbeat(Heartbeat { cursor })) if !cursor.is_empty()));
    scene.human.says(&scene.thread, "new").await;
    let second = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
    let Some(Kind::Event(event)) = second.kind else { panic!("not an event: {second:?}") };
    assert_eq!(texts(&[event]), ["new"]);
}

#[tokio::test]
async fn heartbeats_follow_while_nothing_happens_and_hidden_events_do_not_change_their_times() {
    let scene = Scene::start().await;
    let mut client = event_service_client::EventServiceClient::new(scene.agent.channel.clone());
    let stream = client.watch_events(scene.agent.request(WatchEventsRequest::default())).await.unwrap();
    let mut stream = stream.into_inner();
    let began = tokio::time::Instant::now();
    let mut cursors = Vec::new();
    for _ in 0..2 {
        let message = timeout(PATIENCE, stream.message()).await.unwrap().unwrap().unwrap();
        let Some(Kind::Heartbeat(heartbeat)) = message.kind else { panic!("an event: {message:?}") };
        cursors.push(heartbeat.cursor);
        if cursors.len() == 1 {
            crate::support::rows::block(&scene.app.pool, &scene.identity, &scene.human.number).await;
            scene.human.says(&scene.thread, "blocked").await;
        }
    }
    assert_ne!(cursors[0], cursors[1], "a cursor does not tell whether it has moved");
    assert!((14..18).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_event_that_another_replica_commits_arrives() {
    let scene = Scene::start().await;
    let other = scene.app.replica().await;
    let mut watcher = Watcher::start(&other.caller_with(&scene.agent)).await;
    for text in ["one", "two"] {
        scene.human.says(&scene.thread, text).await;
        assert_eq!(texts(&watcher.take(1).await), [text]);
    }
}

#[tokio::test]
async fn every_watcher_gets_every_event_of_its_filter() {
    let scene = Scene::start().await;
    let second = Human::new(&scene.app, "+15551230002").await;
    let (thread, other) = second.converses(&scene.identity, "hi").await;
    let of = |id: &str| WatchEventsRequest { conversation_id: Some(id.to_owned()), ..Default::default() };
    let mut of_first = Watcher::open(&scene.agent, of(&scene.conversation_id)).await.unwrap();
    let mut of_second = Watcher::open(&scene.agent, of(&other)).await.unwrap();
    let sends = WatchEventsRequest { types: vec![EventType::MessageSent.into()], ..Default::default() };
    let mut of_sends = Watcher::open(&scene.admin, sends).await.unwrap();
    let mut of_all = Watcher::start(&scene.admin).await;
    scene.human.says(&scene.thread, "first").await;
    second.says(&thread, "second").await;
    crate::messages::send(&scene.agent, &other, "answer").await;
    assert_eq!(texts(&of_first.take(1).await), ["first"]);
    assert_eq!(texts(&of_second.take(2).await), ["second", "answer"]);
    assert_eq!(texts(&of_sends.take(1).await), ["answer"]);
    let all = of_all.take(3).await;
    assert_eq!(types(&all), [EventType::MessageReceived, EventType::MessageReceived, EventType::MessageSent]);
}

#[tokio::test]
async fn a_watcher_that_reads_nothing_holds_up_nobody() {
    let scene = Scene::start().await;
    let slow = Watcher::start(&scene.admin).await;
    let mut fast = Watcher::start(&scene.agent).await;
    let long = "x".repeat(15_000);
    for _ in 0..20 {
        scene.human.says(&scene.thread, &long).await;
    }
    assert_eq!(fast.take(20).await.len(), 20);
    let mut slow = slow;
    assert_eq!(slow.take(20).await.len(), 20, "what waited in the database");
}

#[tokio::test]
async fn a_stream_whose_client_is_gone_gives_back_its_place() {
    let scene = Scene::start().await;
    let watcher = Watcher::start(&scene.agent).await;
    let streams = || scene.app.parts.admission.streams.used();
    assert_eq!((streams(), scene.app.parts.admission.calls.used()), (1, 0));
    drop(watcher);
    eventually("the place is free", async || (streams() == 0).then_some(())).await;
    eventually("nobody is told any more", async || {
        scene.app.parts.db.event_heads().watched().is_empty().then_some(())
    })
    .await;
}
