use inkbox_imessage::proto::{
    AssignmentStatus, GetConversationRequest, Media, ReceiveMessageResponse, ReceiveOutcome,
};

use super::connections;
use crate::support::app::ROUTER_LINE;
use crate::support::{Human, TestApp};

#[tokio::test]
async fn disconnect_ends_the_connection() {
    let app = TestApp::start().await;
    let identity = app.identity_with("org_a", |new| new.agent_handle = "SalesBot".to_owned()).await;
    let human = Human::new(&app, "+15551230001").await;
    let (thread, conversation_id) = human.converses(&identity, "hello").await;

    let answer = human.commands(" DISCONNECT salesbot").await;
    assert_eq!(answer.outcome(), ReceiveOutcome::Disconnected);
    assert_eq!(answer.connection_id, Some(thread.connection_id.clone()));
    assert!(answer.reply_text().contains("@SalesBot"), "{answer:?}");
    assert!(connections(&app, "org_a").await.is_empty());
    assert_eq!(human.says(&thread, "still there?").await.outcome(), ReceiveOutcome::NotConnected);
    let get = GetConversationRequest { conversation_id, agent_identity_id: None };
    let conversation = app.admin("org_a").await.get_conversation(get).await.unwrap().conversation.unwrap();
    assert_eq!(conversation.assignment_status(), AssignmentStatus::Released);
}

#[tokio::test]
async fn disconnect_answers_alike_for_unknown_and_for_not_connected_handles() {
    let app = TestApp::start().await;
    let (never, ended) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    other.connects(&never).await;
    human.connects(&ended).await;
    human.disconnects(&ended).await;

    let unknown = human.commands("disconnect @nobody").await;
    assert_eq!(unknown.outcome(), ReceiveOutcome::Refused);
    assert!(!unknown.reply_text().is_empty());
    for identity in [never, ended] {
        assert_eq!(human.commands(&format!("disconnect @{}", identity.agent_handle)).await, unknown);
    }
    assert_eq!(connections(&app, "org_a").await.len(), 1, "the other human stays connected");
}

#[tokio::test]
async fn list_names_this_humans_connected_handles_only() {
    let app = TestApp::start().await;
    let names = ["alpha", "beta", "gamma", "delta"];
    let mut agents = Vec::new();
    for (i, name) in names.into_iter().enumerate() {
        let organization = ["org_a", "org_b"][i % 2];
        agents.push(app.identity_with(organization, |new| new.agent_handle = name.to_owned()).await);
    }
    let human = Human::new(&app, "+15551230001").await;
    let other = Human::new(&app, "+15551230002").await;
    for connected in &agents[..3] {
        human.connects(connected).await;
    }
    human.disconnects(&agents[2]).await;
    other.connects(&agents[3]).await;

    let listed = |answer: &ReceiveMessageResponse| -> Vec<&str> {
        assert_eq!(answer.outcome(), ReceiveOutcome::Help);
        assert_eq!(answer.connection_id, None);
        let reply = answer.reply_text.clone().unwrap();
        names.into_iter().filter(|name| reply.contains(&format!("@{name}"))).collect()
    };
    assert_eq!(listed(&human.commands("list").await), ["alpha", "beta"]);
    assert_eq!(listed(&other.commands(" LIST ").await), ["delta"]);
    let third = Human::new(&app, "+15551230003").await;
    assert_eq!(listed(&third.commands("list").await), [""; 0]);
}

#[tokio::test]
async fn anything_else_is_help_and_a_text_of_only_media_too() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let handle = &identity.agent_handle;

    let help = human.commands("help").await;
    assert_eq!(help.outcome(), ReceiveOutcome::Help);
    assert!(help.reply_text().contains("connect @"), "{help:?}");
    for words in [" ", "hello", "connect", "connect @", "disconnect", "list all", "@list"] {
        assert_eq!(human.commands(words).await, help, "{words:?}");
    }
    assert_eq!(human.commands(&format!("connect @{handle} please")).await, help);
    let mut picture = human.text(ROUTER_LINE, "");
    picture.text = None;
    picture.media = vec![Media { url: "https://example.com/1.png".to_owned(), ..Default::default() }];
    assert_eq!(human.router.receive_message(picture).await.unwrap(), help);
    assert!(connections(&app, "org_a").await.is_empty());
}
