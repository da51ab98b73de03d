use chrono::TimeDelta;
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{
    DeliveryStatus, ListMessagesRequest, MarkConversationReadRequest, Media, MessageDirection,
    MessageTransport, ReactionType, ReceiveMessageRequest, SendMessageRequest, SendReactionRequest,
    SendStyle,
};
use prost_types::Timestamp;
use uuid::Uuid;

use super::scene::place;
use super::{all_messages, messages_of, send, texts, to_conversation};
use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::assertions::assert_alike;
use crate::support::{Human, TestApp, assert_fields, assert_reason};

fn of(identity: Option<&str>, conversation: Option<&str>) -> ListMessagesRequest {
    ListMessagesRequest {
        agent_identity_id: identity.map(str::to_owned),
        conversation_id: conversation.map(str::to_owned),
        ..Default::default()
    }
}

#[tokio::test]
async fn newest_first_and_ties_break_on_id() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    app.clock.freeze(app.clock.now());
    let (thread, id) = human.converses(&identity, "1").await;
    human.says(&thread, "2").await;
    human.says(&thread, "3").await;
    app.clock.advance(TimeDelta::seconds(1));
    human.says(&thread, "4").await;

    let messages = messages_of(&app.agent(&identity).await, &id).await;
    assert_eq!(texts(&messages), ["4", "3", "2", "1"]);
    assert_eq!(messages[1].created_at, messages[3].created_at, "a tie");
    assert!(messages.is_sorted_by(|a, b| place(a) > place(b)));
}

#[tokio::test]
async fn a_late_message_takes_its_place_by_time() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "first").await;
    app.clock.advance(TimeDelta::minutes(10));
    human.says(&thread, "last").await;
    let sent_at = app.clock.now() - TimeDelta::minutes(5);
    let late = ReceiveMessageRequest {
        sent_at: Some(Timestamp { seconds: sent_at.timestamp(), nanos: 0 }),
        ..human.text(&thread.line, "late")
    };
    human.router.receive_message(late).await.unwrap();

    let messages = messages_of(&app.agent(&identity).await, &id).await;
    assert_eq!(texts(&messages), ["last", "late", "first"]);
    assert_eq!(messages[1].created_at.as_ref().unwrap().seconds, sent_at.timestamp());
}

#[tokio::test]
async fn a_late_message_is_unread_although_newer_ones_are_read() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "read").await;
    agent
        .mark_conversation_read(MarkConversationReadRequest {
            conversation_id: id.clone(),
            ..Default::default()
        })
        .await
        .unwrap();
    let late = ReceiveMessageRequest {
        sent_at: Some(Timestamp { seconds: 1_000_000, nanos: 0 }),
        ..human.text(&thread.line, "late")
    };
    human.router.receive_message(late).await.unwrap();

    let unread = ListMessagesRequest { is_read: Some(false), ..Default::default() };
    assert_eq!(texts(&agent.list_messages(unread).await.unwrap().messages), ["late"]);
    let read = ListMessagesRequest { is_read: Some(true), ..Default::default() };
    assert_eq!(texts(&agent.list_messages(read).await.unwrap().messages), ["read"]);
}

#[tokio::test]
async fn a_conversation_that_the_caller_may_not_see_reads_like_an_unknown_one() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, of_sibling) = human.converses(&sibling, "hello").await;
    let (_, of_foreign) = human.converses(&foreign, "hello").await;
    let unknown = Uuid::from_u128(1).to_string();

    let (admin, agent) = (app.admin("org_a").await, app.agent(&mine).await);
    for caller in [&admin, &agent] {
        let answer = caller.list_messages(of(None, Some(&unknown))).await;
        assert_reason(answer.clone(), "NOT_FOUND");
        assert_alike(caller.list_messages(of(None, Some(&of_foreign))).await, answer);
    }
    let answer = agent.list_messages(of(None, Some(&unknown))).await;
    assert_alike(agent.list_messages(of(None, Some(&of_sibling))).await, answer.clone());
    let mismatched = admin.list_messages(of(Some(&mine.id), Some(&of_sibling))).await;
    assert_alike(mismatched, answer);
}

#[tokio::test]
async fn an_identity_that_an_admin_may_not_see_reads_like_an_unknown_one() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    let admin = app.admin("org_a").await;
    let unknown = admin.list_messages(of(Some(&Uuid::from_u128(1).to_string()), None)).await;
    assert_reason(unknown.clone(), "NOT_FOUND");
    assert_alike(admin.list_messages(of(Some(&foreign.id), None)).await, unknown);
}

#[tokio::test]
async fn an_identity_key_may_name_no_other_identity_whether_it_exists_or_not() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let agent = app.agent(&mine).await;
    let unknown = Uuid::from_u128(1).to_string();
    for named in [&sibling.id, &unknown] {
        // Before any look-up: also where the conversation does not exist.
        for conversation in [None, Some(unknown.as_str())] {
            let answer = agent.list_messages(of(Some(named), conversation)).await;
            assert_reason(answer, "IDENTITY_MISMATCH");
        }
    }
}

#[tokio::test]
async fn an_identity_that_is_not_enabled_is_listed_all_the_same() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    human.converses(&identity, "hello").await;
    sqlx::query("UPDATE identities SET imessage_enabled = false").execute(&app.pool).await.unwrap();
    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let messages = caller.list_messages(of(Some(&identity.id), None)).await.unwrap().messages;
        assert_eq!(texts(&messages), ["hello"]);
    }
}

#[tokio::test]
async fn an_inbound_message_reads_back_as_it_was_delivered() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    let media = vec![
        Media { url: "https://files.example/1".to_owned(), content_type: None, size_bytes: None },
        Media {
            url: "https://files.example/2".to_owned(),
            content_type: Some("image/png".to_owned()),
            size_bytes: Some(3_000_000_000),
        },
    ];
    let words = " \u{1F469}\u{200D}\u{1F680} naïve\r\n\t";
    let text = ReceiveMessageRequest {
        media: media.clone(),
        transport: MessageTransport::Rcs.into(),
        ..human.text(&thread.line, words)
    };
    let answer = human.router.receive_message(text).await.unwrap();

    let [message] = &all_messages(&app.agent(&identity).await).await[..] else { panic!("one message") };
    assert_eq!(Some(&message.id), answer.message_id.as_ref());
    assert_eq!(Some(&message.conversation_id), answer.conversation_id.as_ref());
    assert_eq!(message.assignment_id, thread.connection_id);
    assert_eq!(message.remote_number, human.number);
    assert_eq!(message.text.as_deref(), Some(words));
    assert_eq!(message.media, media);
    assert_eq!(message.direction(), MessageDirection::Inbound);
    assert_eq!(message.transport(), MessageTransport::Rcs);
    assert_eq!(message.send_style(), SendStyle::Unspecified);
    assert_eq!(message.status(), DeliveryStatus::Received);
    assert_eq!(message.error, None);
    assert!(!message.is_read && !message.is_blocked && !message.was_downgraded);
}

#[tokio::test]
async fn every_send_style_reads_back_with_its_media() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    for number in 0..=13 {
        let style = SendStyle::try_from(number).unwrap();
        let request = SendMessageRequest {
            text: None,
            media_urls: vec![format!("https://files.example/{number}?a=b#c")],
            send_style: style.into(),
            ..to_conversation(&id, "")
        };
        agent.send_message(request).await.unwrap();
        let newest = &messages_of(&agent, &id).await[0];
        assert_eq!(newest.send_style(), style);
        assert_eq!(newest.text, None);
        assert_eq!(newest.media[0].url, format!("https://files.example/{number}?a=b#c"));
    }
}

#[tokio::test]
async fn reactions_are_the_live_ones_oldest_first() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, id) = human.converses(&identity, "hello").await;
    human.says(&thread, "nothing on this one").await;
    let agent = app.agent(&identity).await;
    let message_id = messages_of(&agent, &id).await[1].id.clone();
    // Parts against the order of time, so that sorting by part would show.
    for (part_index, reaction) in
        [(2, ReactionType::Love), (1, ReactionType::Like), (0, ReactionType::Eyes), (2, ReactionType::Laugh)]
    {
        app.clock.advance(TimeDelta::seconds(1));
        let request =
            SendReactionRequest { message_id: message_id.clone(), reaction: reaction.into(), part_index };
        agent.send_reaction(request).await.unwrap();
    }
    let messages = messages_of(&agent, &id).await;
    assert!(messages[0].reactions.is_empty());
    let live: Vec<_> = messages[1].reactions.iter().map(|r| (r.part_index, r.reaction())).collect();
    assert_eq!(live, [(1, ReactionType::Like), (0, ReactionType::Eyes), (2, ReactionType::Laugh)]);
}

#[tokio::test]
async fn no_answer_shows_a_line_number() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let agent = app.agent(&identity).await;
    let sent = send(&agent, &id, "hi").await;
    let put = SendReactionRequest {
        message_id: sent.id.clone(),
        reaction: ReactionType::Like.into(),
        part_index: 0,
    };
    let reaction = agent.send_reaction(put).await.unwrap();
    let listed = [all_messages(&agent).await, all_messages(&app.admin("org_a").await).await];
    let shown = format!("{sent:?} {reaction:?} {listed:?}");
    for line in POOL_LINES.iter().chain([&ROUTER_LINE]) {
        assert!(!shown.contains(line), "{line} in {shown}");
    }
    assert!(shown.contains(&human.number));
}

#[tokio::test]
async fn bad_fields_are_named_all_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = ListMessagesRequest {
        agent_identity_id: Some(String::new()),
        conversation_id: Some("nonsense".to_owned()),
        limit: Some(201),
        offset: Some(-1),
        page_token: String::new(),
        ..Default::default()
    };
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        let answer = caller.list_messages(bad.clone()).await;
        assert_fields(answer, &["agent_identity_id", "conversation_id", "limit", "offset"]);
        for limit in [0, -1, 201] {
            let answer =
                caller.list_messages(ListMessagesRequest { limit: Some(limit), ..Default::default() });
            assert_fields(answer.await, &["limit"]);
        }
    }
    let answer = app.router().await.list_messages(ListMessagesRequest::default()).await;
    assert_reason(answer, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().list_messages(bad).await, "API_KEY_INVALID");
}
