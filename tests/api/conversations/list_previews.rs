use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::maintenance::verify;
use inkbox_imessage::proto::{Media, MessageDirection, ReceiveMessageRequest};

use super::{listed, numbers, only, timestamp};
use crate::support::{Human, TestApp, invariants, rows};

fn photo() -> Media {
    Media { url: "https://example.com/photo.jpg".to_owned(), ..Default::default() }
}

#[tokio::test]
async fn the_preview_is_the_first_256_characters_not_bytes() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let agent = app.agent(&identity).await;

    for character in ["x", "é", "🦀"] {
        for (said, shown) in [(255, 255), (256, 256), (257, 256), (1000, 256)] {
            human.says(&thread, &character.repeat(said)).await;
            let preview = only(&agent, None).await.latest_text.unwrap();
            assert_eq!(preview, character.repeat(shown), "{said} times {character}");
        }
    }
}

#[tokio::test]
async fn a_message_of_media_alone_has_no_preview_text() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, _) = human.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;

    for (text, media) in
        [(None, vec![photo()]), (Some("look"), vec![photo(), photo()]), (Some("nice, is it not?"), vec![])]
    {
        let text = text.map(str::to_owned);
        let message = ReceiveMessageRequest {
            text: text.clone(),
            media: media.clone(),
            ..human.text(&thread.line, "")
        };
        human.router.receive_message(message).await.unwrap();
        let row = only(&agent, None).await;
        assert_eq!((row.latest_text, row.latest_has_media), (text, !media.is_empty()));
    }
}

#[tokio::test]
async fn the_direction_is_that_of_the_newest_message() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    rows::agent_spoke_last(&app.pool, &id).await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        assert_eq!(only(&caller, None).await.latest_direction(), MessageDirection::Outbound);
    }
    human.says(&thread, "thank you").await;
    assert_eq!(only(&app.agent(&identity).await, None).await.latest_direction(), MessageDirection::Inbound);
}

#[tokio::test]
async fn a_late_message_takes_its_place_by_time_and_does_not_become_the_preview() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    let (thread, _) = human.converses(&identity, "sent second").await;
    other.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let before = listed(&agent, None).await;

    let an_hour_ago = Some(timestamp(app.clock.now() - TimeDelta::hours(1)));
    let late = ReceiveMessageRequest { sent_at: an_hour_ago, ..human.text(&thread.line, "sent first") };
    human.router.receive_message(late).await.unwrap();

    let rows = listed(&agent, None).await;
    assert_eq!(numbers(&rows), [&other.number, &human.number]);
    assert_eq!(rows[1].latest_text.as_deref(), Some("sent second"));
    assert_eq!(rows[1].latest_message_at, before[1].latest_message_at);
    assert_eq!((rows[1].unread_count, rows[1].total_count), (2, 2));

    let third = Human::new(&app, "+15551230003").await;
    let thread = third.connects(&identity).await;
    let late = ReceiveMessageRequest { sent_at: an_hour_ago, ..third.text(&thread.line, "hello") };
    third.router.receive_message(late).await.unwrap();
    let rows = listed(&agent, None).await;
    assert_eq!(numbers(&rows), [&other.number, &human.number, &third.number]);
    assert_eq!(rows[2].latest_message_at, an_hour_ago);
}

#[tokio::test]
async fn a_time_in_the_future_counts_as_now() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    let thread = human.connects(&identity).await;
    let now = app.clock.now();
    app.clock.freeze(now);
    let tomorrow = Some(timestamp(now + TimeDelta::days(1)));
    let early = ReceiveMessageRequest { sent_at: tomorrow, ..human.text(&thread.line, "from tomorrow") };
    human.router.receive_message(early).await.unwrap();

    let agent = app.agent(&identity).await;
    assert_eq!(only(&agent, None).await.latest_message_at, Some(timestamp(now)));
    app.clock.advance(TimeDelta::seconds(1));
    other.converses(&identity, "hello").await;
    assert_eq!(numbers(&listed(&agent, None).await), [&other.number, &human.number]);
}

#[tokio::test]
async fn a_preview_divides_no_emoji_and_an_older_one_that_does_is_still_valid() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let begin = "a".repeat(255);
    human.says(&thread, &format!("{begin}👨\u{200d}👩\u{200d}👧\u{200d}👦 bye")).await;
    let agent = app.agent(&identity).await;
    assert_eq!(only(&agent, None).await.latest_text.as_deref(), Some(&*begin));
    invariants::hold(&app).await;

    // As the previous version cut it.
    sqlx::query("UPDATE conversations SET clear_latest_text = clear_latest_text || '👨'")
        .execute(&app.pool)
        .await
        .unwrap();
    invariants::hold(&app).await;
    for broken in ["clear_latest_text || '👩'", "left(clear_latest_text, 0)", "'b'", "NULL"] {
        let broken = format!("UPDATE conversations SET clear_latest_text = {broken}");
        sqlx::query(sqlx::AssertSqlSafe(broken)).execute(&app.pool).await.unwrap();
        let repaired = verify::repair(&app.options, app.clock.now()).await.unwrap();
        assert_eq!(repaired.len(), 1, "{repaired:?}");
        assert_eq!(only(&agent, None).await.latest_text.as_deref(), Some(&*begin));
    }
}
