use chrono::TimeDelta;
use inkbox_imessage::proto::{
    DeliveryKind, DeliveryStatus, ListConversationsRequest, MessageDirection, MessageTransport,
    SendMessageRequest,
};

use super::{all_messages, delivered, deliveries, messages_of, send, to_conversation, to_number};
use crate::support::{Human, Scene, TestApp};

#[tokio::test]
async fn an_accepted_message_is_queued_listed_and_on_the_line_once() {
    let Scene { app, human, thread, conversation_id: id, admin, agent, .. } = Scene::start().await;

    for (caller, words) in [(&agent, "from the agent"), (&admin, "from the admin")] {
        app.clock.advance(TimeDelta::seconds(1));
        let sent = send(caller, &id, words).await;
        assert_eq!(sent.status(), DeliveryStatus::Queued);
        assert_eq!(sent.direction(), MessageDirection::Outbound);
        assert_eq!(sent.transport(), MessageTransport::Imessage);
        assert_eq!(sent.conversation_id, id);
        assert_eq!(sent.assignment_id, thread.connection_id);
        assert_eq!(sent.remote_number, human.number);
        assert_eq!(sent.text.as_deref(), Some(words));
        assert!(sent.is_read && !sent.is_blocked && !sent.was_downgraded);
        assert_eq!(sent.error, None);
        assert_eq!(messages_of(&agent, &id).await[0], sent, "the answer is the row");
    }
    let expected =
        ["from the agent", "from the admin"].map(|text| (DeliveryKind::Message, Some(text.to_owned())));
    assert_eq!(delivered(&admin, &id).await, expected);
    assert!(deliveries(&admin).await.iter().all(|d| d.remote_number == human.number && !d.failed));
}

#[tokio::test]
async fn a_sent_message_becomes_the_preview_and_is_not_unread() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let agent = app.agent(&identity).await;
    let human = Human::new(&app, "+15551230001").await;
    let (_, older) = human.converses(&identity, "hello").await;
    app.clock.advance(TimeDelta::seconds(1));
    Human::new(&app, "+15551230002").await.converses(&identity, "hi").await;
    app.clock.advance(TimeDelta::seconds(1));
    let sent = send(&agent, &older, "good day").await;

    let list = agent.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations;
    assert_eq!(list[0].id, older, "it moved to the top");
    assert_eq!(list[0].latest_text.as_deref(), Some("good day"));
    assert_eq!(list[0].latest_direction(), MessageDirection::Outbound);
    assert_eq!(list[0].latest_message_at, sent.created_at);
    assert_eq!((list[0].unread_count, list[0].total_count), (1, 2));
    assert!(!list[0].latest_has_media);
}

#[tokio::test]
async fn a_send_by_number_goes_to_the_conversation_of_the_sender() {
    let app = TestApp::start().await;
    let (identity, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let (_, of_sibling) = human.converses(&sibling, "hello").await;
    let (_, id) = human.converses(&identity, "hello").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);

    let named = to_number(&human.number, Some(&identity.id), "named");
    for (caller, request) in
        [(&agent, to_number(&human.number, None, "own")), (&agent, named.clone()), (&admin, named)]
    {
        let sent = caller.send_message(request).await.unwrap().message.unwrap();
        assert_eq!((sent.conversation_id, sent.status), (id.clone(), DeliveryStatus::Queued.into()));
    }
    assert_eq!(delivered(&admin, &id).await.len(), 3);
    assert_eq!(delivered(&admin, &of_sibling).await, []);
}

#[tokio::test]
async fn an_admin_key_may_name_the_identity_that_the_conversation_belongs_to() {
    let Scene { app, identity, conversation_id: id, .. } = Scene::start().await;
    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let request =
            SendMessageRequest { agent_identity_id: Some(identity.id.clone()), ..to_conversation(&id, "hi") };
        assert!(caller.send_message(request).await.is_ok());
    }
}

#[tokio::test]
async fn the_longest_text_counts_characters_and_is_stored_unchanged() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::start().await;
    let longest = "\u{1F600}".repeat(18_996);
    send(&agent, &id, &longest).await;
    assert_eq!(messages_of(&agent, &id).await[0].text.as_deref(), Some(longest.as_str()));
    assert_eq!(delivered(&admin, &id).await, [(DeliveryKind::Message, Some(longest))]);
}

#[tokio::test]
async fn media_alone_is_enough() {
    let Scene { app: _app, conversation_id: id, agent, .. } = Scene::start().await;
    let request = SendMessageRequest {
        text: None,
        media_urls: vec!["https://files.example/cat.png".to_owned()],
        ..to_conversation(&id, "")
    };
    let sent = agent.send_message(request).await.unwrap().message.unwrap();
    assert_eq!((sent.text, sent.media.len()), (None, 1));
    let list = agent.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations;
    assert!(list[0].latest_has_media);
    assert_eq!(list[0].latest_text, None);
}

#[tokio::test]
async fn a_reconnected_human_who_texted_again_is_sent_to_on_the_new_connection() {
    let Scene { app, identity, human, conversation_id: id, .. } = Scene::start().await;
    human.disconnects(&identity).await;
    let (again, same) = human.converses(&identity, "back").await;
    assert_eq!(same, id);
    let agent = app.agent(&identity).await;
    for request in [to_conversation(&id, "welcome"), to_number(&human.number, None, "welcome")] {
        let sent = agent.send_message(request).await.unwrap().message.unwrap();
        assert_eq!((sent.conversation_id, sent.assignment_id), (id.clone(), again.connection_id.clone()));
    }
}

#[tokio::test]
async fn messages_that_are_sent_at_the_same_time_are_all_stored_and_summed_up() {
    let Scene { app: _app, conversation_id: id, admin, agent, .. } = Scene::start().await;
    // One is at the line and eight wait for it, which is the maximum.
    let sends = (0..9).map(|n| {
        let (agent, id) = (agent.clone(), id.clone());
        tokio::spawn(async move { send(&agent, &id, &format!("message {n}")).await })
    });
    for sending in sends.collect::<Vec<_>>() {
        sending.await.unwrap();
    }
    let stored = all_messages(&agent).await;
    assert_eq!(stored.len(), 10);
    let on_the_line: Vec<_> =
        delivered(&admin, &id).await.into_iter().rev().filter_map(|(_, text)| text).collect();
    let listed: Vec<_> = stored[..9].iter().filter_map(|message| message.text.clone()).collect();
    assert_eq!(listed, on_the_line, "they read in the order in which they left");
    let list = admin.list_conversations(ListConversationsRequest::default()).await.unwrap().conversations;
    assert_eq!((list[0].total_count, list[0].unread_count), (10, 1));
    assert_eq!(list[0].latest_text, stored[0].text);
}
