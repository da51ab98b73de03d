//! Cursors: where reading goes on.

use chrono::TimeDelta;
use inkbox_imessage::maintenance::cleanup::{self, Retention};
use inkbox_imessage::proto::*;

use super::{page, texts};
use crate::support::{Human, Scene, Watcher, assert_fields, assert_reason, eventually};

fn after(cursor: &str) -> ListEventsRequest {
    ListEventsRequest { after: cursor.to_owned(), ..Default::default() }
}

#[tokio::test]
async fn a_stream_resumes_after_any_event_and_any_heartbeat_on_any_replica() {
    let scene = Scene::start().await;
    let other = scene.app.replica().await;
    let of_other = other.caller_with(&scene.agent);
    let mut watcher = Watcher::start(&scene.agent).await;
    let at_start = watcher.cursor.clone();
    for text in ["one", "two", "three"] {
        scene.human.says(&scene.thread, text).await;
    }
    let events = watcher.take(3).await;
    drop(watcher);
    for (cursor, expected) in [
        (&at_start, &["one", "two", "three"][..]),
        (&events[0].cursor, &["two", "three"]),
        (&events[1].cursor, &["three"]),
    ] {
        let request = WatchEventsRequest { after: cursor.clone(), ..Default::default() };
        let mut resumed = Watcher::open(&of_other, request).await.unwrap();
        assert_eq!(texts(&resumed.take(expected.len()).await), expected);
        assert_eq!(texts(&page(&of_other, after(cursor)).await.events), expected);
    }
}

#[tokio::test]
async fn a_cursor_that_is_malformed_or_of_another_organization_is_invalid() {
    let scene = Scene::start().await;
    let identity = scene.app.identity("org_b").await;
    let foreign = scene.app.agent(&identity).await;
    let theirs = page(&foreign, ListEventsRequest::default()).await.cursor;
    let mine = page(&scene.agent, ListEventsRequest::default()).await.cursor;
    for bad in [theirs.as_str(), "x", "%%%", &mine[1..], &"A".repeat(mine.len()), &"A".repeat(100_000)] {
        assert_fields(scene.agent.list_events(after(bad)).await, &["after"]);
        let request = WatchEventsRequest { after: bad.to_owned(), ..Default::default() };
        assert_fields(Watcher::open(&scene.agent, request).await.map(|_| ()), &["after"]);
    }
    page(&scene.admin, after(&mine)).await;
}

#[tokio::test]
async fn a_cursor_whose_successors_were_deleted_has_expired_and_the_newest_never_does() {
    let scene = Scene::start().await;
    let oldest = page(&scene.agent, ListEventsRequest { limit: Some(1), ..Default::default() }).await.cursor;
    let newest = page(&scene.agent, ListEventsRequest::default()).await.cursor;
    let mut behind =
        Watcher::open(&scene.agent, WatchEventsRequest { after: oldest.clone(), ..Default::default() })
            .await
            .unwrap();
    scene.app.clock.advance(TimeDelta::days(8));
    let week = Retention { events: Some(TimeDelta::days(7)), ..Retention::default() };
    let removed = cleanup::run_once(&scene.app.parts, week).await.unwrap();
    assert_eq!(removed.events, 2);
    assert_reason(scene.agent.list_events(after(&oldest)).await, "CURSOR_EXPIRED");
    let request = WatchEventsRequest { after: oldest, ..Default::default() };
    assert_reason(Watcher::open(&scene.agent, request).await.map(|_| ()), "CURSOR_EXPIRED");
    assert!(page(&scene.agent, after(&newest)).await.events.is_empty());
    scene.human.says(&scene.thread, "new").await;
    assert_eq!(texts(&page(&scene.agent, after(&newest)).await.events), ["new"]);
    assert_eq!(texts(&page(&scene.agent, after("")).await.events), ["new"]);
    // Read before the deletion, and pushed to the client whether it looks or not.
    assert_eq!(texts(&behind.take(2).await), ["hello", "new"]);
}

#[tokio::test]
async fn a_stream_whose_next_events_were_deleted_before_it_read_them_ends_as_expired() {
    let scene = Scene::start().await;
    let mut watcher = Watcher::start(&scene.agent).await;
    let request =
        ListEventsRequest { after: watcher.cursor.clone(), wait_seconds: Some(30), ..Default::default() };
    let agent = scene.agent.clone();
    let polling = tokio::spawn(async move { agent.list_events(request).await });
    let streams = || scene.app.parts.admission.streams.used();
    eventually("the call waits", async || (streams() == 2).then_some(())).await;
    // An event that was written and deleted before anybody looked.
    sqlx::query("UPDATE event_logs SET last_sequence = last_sequence + 1")
        .execute(&scene.app.pool)
        .await
        .unwrap();
    assert_reason::<()>(Err(watcher.end().await.1), "CURSOR_EXPIRED");
    assert_reason(polling.await.unwrap(), "CURSOR_EXPIRED");
}

#[tokio::test]
async fn a_log_that_was_restored_to_an_older_state_expires_the_cursors_of_what_is_lost() {
    let scene = Scene::start().await;
    let kept = page(&scene.agent, ListEventsRequest::default()).await.cursor;
    scene.human.says(&scene.thread, "lost").await;
    let lost = page(&scene.agent, ListEventsRequest::default()).await.cursor;
    // What restoring a backup from before the last text does to the log.
    for statement in
        ["DELETE FROM events WHERE sequence = 3", "UPDATE event_logs SET last_sequence = last_sequence - 1"]
    {
        sqlx::query(statement).execute(&scene.app.pool).await.unwrap();
    }
    let restored = scene.app.replica().await;
    let agent = restored.caller_with(&scene.agent);
    assert_reason(agent.list_events(after(&lost)).await, "CURSOR_EXPIRED");
    let human = Human { router: restored.router().await, ..scene.human.clone() };
    human.says(&scene.thread, "after the restore").await;
    assert_reason(agent.list_events(after(&lost)).await, "CURSOR_EXPIRED");
    assert_eq!(texts(&page(&agent, after(&kept)).await.events), ["after the restore"]);
}
