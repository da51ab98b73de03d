use inkbox_imessage::proto::ListMessagesRequest;

use super::scene::{Scene, filters, place, shows};
use super::{all_messages, texts};
use crate::support::{Human, TestApp, rows};

#[tokio::test]
async fn an_admin_key_sees_in_every_scope_what_the_filters_name_and_nothing_else() {
    let scene = Scene::set().await;
    let all = all_messages(&scene.admin).await;
    assert_eq!(all.len(), 24);
    assert!(all.is_sorted_by(|a, b| place(a) > place(b)));
    for (scope, begins) in scene.scopes_of_admin() {
        for (is_blocked, is_read) in filters() {
            let request = ListMessagesRequest { is_blocked, is_read, ..scope.clone() };
            let shown = scene.admin.list_messages(request.clone()).await.unwrap().messages;
            let expected: Vec<_> = texts(&all)
                .into_iter()
                .filter(|name| name.starts_with(&begins) && shows(name, is_blocked, is_read))
                .collect();
            assert_eq!(texts(&shown), expected, "{request:?}");
        }
    }
}

#[tokio::test]
async fn an_identity_key_sees_clear_messages_whatever_it_asks_for() {
    let scene = Scene::set().await;
    let all = all_messages(&scene.admin).await;
    for (scope, begins) in scene.scopes_of_agent() {
        for (is_blocked, is_read) in filters() {
            let request = ListMessagesRequest { is_blocked, is_read, ..scope.clone() };
            let shown = scene.agents[0].list_messages(request.clone()).await.unwrap().messages;
            let expected: Vec<_> = texts(&all)
                .into_iter()
                .filter(|_| is_blocked != Some(true))
                .filter(|name| name.starts_with(&begins) && shows(name, Some(false), is_read))
                .collect();
            assert_eq!(texts(&shown), expected, "{request:?}");
        }
    }
}

#[tokio::test]
async fn is_read_is_the_horizon_inbound_always_true_outbound_and_never_blocked() {
    let scene = Scene::set().await;
    for message in all_messages(&scene.admin).await {
        let name = message.text.as_deref().unwrap();
        assert_eq!(message.is_read, name.contains("seen") || name.contains("sent"), "{name}");
        assert_eq!(message.is_blocked, name.contains("blocked"), "{name}");
    }
}

#[tokio::test]
async fn what_was_blocked_stays_blocked_when_the_rule_is_gone() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    human.says(&thread, "blocked").await;
    rows::remove_rules(&app.pool, &identity).await;
    human.says(&thread, "clear").await;
    rows::block(&app.pool, &identity, &human.number).await;

    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    assert_eq!(texts(&all_messages(&agent).await), ["clear"]);
    let blocked = ListMessagesRequest { is_blocked: Some(true), ..Default::default() };
    assert_eq!(texts(&admin.list_messages(blocked).await.unwrap().messages), ["blocked"]);
}

#[tokio::test]
async fn an_organization_lists_nothing_of_another() {
    let scene = Scene::set().await;
    let foreign = scene.app.identity("org_b").await;
    let human = Human::new(&scene.app, "+15551230009").await;
    human.converses(&foreign, "of b").await;
    assert_eq!(texts(&all_messages(&scene.app.admin("org_b").await).await), ["of b"]);
    assert!(!texts(&all_messages(&scene.admin).await).contains(&"of b"));
}
