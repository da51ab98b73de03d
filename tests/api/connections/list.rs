use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{
    AssignmentStatus, Connection, ListConnectionsRequest, ReleaseConnectionRequest, UpdateIdentityRequest,
};
use uuid::Uuid;

use crate::support::assertions::{assert_alike, assert_names_no_line};
use crate::support::callers::Caller;
use crate::support::{Human, TestApp, assert_fields, assert_reason, rows};

fn of(identity: &str) -> ListConnectionsRequest {
    ListConnectionsRequest { agent_identity_id: Some(identity.to_owned()), ..Default::default() }
}

async fn listed(caller: &Caller) -> Vec<Connection> {
    caller.list_connections(ListConnectionsRequest::default()).await.unwrap().connections
}

async fn listed_ids(caller: &Caller) -> Vec<String> {
    listed(caller).await.into_iter().map(|connection| connection.id).collect()
}

#[tokio::test]
async fn connected_but_silent_is_listed() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let connections = listed(&caller).await;
        let [connection] = connections.as_slice() else { panic!("{connections:?}") };
        assert_eq!(connection.id, thread.connection_id);
        assert_eq!(connection.remote_number, human.number);
        assert_eq!(connection.agent_identity_id, identity.id);
        assert_eq!(connection.organization_id, "org_a");
        assert_eq!(connection.status(), AssignmentStatus::Active);
        assert_eq!(connection.released_at, None);
        assert!(connection.created_at.is_some() && connection.updated_at == connection.created_at);
    }
}

#[tokio::test]
async fn the_newest_connection_comes_first_whoever_spoke_last() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let mut threads = Vec::new();
    for number in ["+15551230002", "+15551230003", "+15551230001"] {
        let human = Human::new(&app, number).await;
        let thread = human.connects(&identity).await;
        threads.push((human, thread));
    }
    let (human, thread) = &threads[0];
    human.says(thread, "hello").await;

    let newest_first: Vec<_> = threads.iter().rev().map(|(_, thread)| thread.connection_id.clone()).collect();
    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        assert_eq!(listed_ids(&caller).await, newest_first);
    }
}

#[tokio::test]
async fn equal_times_are_ordered_by_id() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    app.clock.freeze(app.clock.now());
    let mut ids = Vec::new();
    for number in ["+15551230002", "+15551230003", "+15551230001"] {
        ids.push(Human::new(&app, number).await.connects(&identity).await.connection_id);
    }
    ids.sort_unstable();
    ids.reverse();

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        assert_eq!(listed_ids(&caller).await, ids);
    }
}

#[tokio::test]
async fn a_released_connection_vanishes_and_a_reconnect_is_a_new_one() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let human = Human::new(&app, "+15551230001").await;
    let (first, _) = human.converses(&identity, "hello").await;
    human.disconnects(&identity).await;
    for caller in [&admin, &agent] {
        assert_eq!(listed(caller).await, []);
    }

    let second = human.connects(&identity).await;
    assert_ne!(first.connection_id, second.connection_id);
    for caller in [&admin, &agent] {
        assert_eq!(listed_ids(caller).await, [second.connection_id.as_str()]);
    }

    let release = ReleaseConnectionRequest { connection_id: second.connection_id };
    admin.release_connection(release).await.unwrap();
    for caller in [&admin, &agent] {
        assert_eq!(listed(caller).await, []);
    }
}

#[tokio::test]
async fn an_identity_key_lists_its_own_whether_it_names_itself_or_nobody() {
    let app = TestApp::start().await;
    let (mine, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&mine).await;
    human.connects(&sibling).await;

    let agent = app.agent(&mine).await;
    for request in [ListConnectionsRequest::default(), of(&mine.id)] {
        let connections = agent.list_connections(request).await.unwrap().connections;
        let ids: Vec<_> = connections.into_iter().map(|connection| connection.id).collect();
        assert_eq!(ids, [thread.connection_id.as_str()]);
    }
}

#[tokio::test]
async fn an_identity_key_that_names_another_is_refused_alike_whether_that_one_exists_or_not() {
    let app = TestApp::start().await;
    let mine = app.identity("org_a").await;
    let (sibling, foreign) = (app.identity("org_a").await, app.identity("org_b").await);
    let unknown = Uuid::from_u128(1).to_string();

    let agent = app.agent(&mine).await;
    assert_reason(agent.list_connections(of(&unknown)).await, "IDENTITY_MISMATCH");
    for id in [sibling.id, foreign.id] {
        assert_alike(agent.list_connections(of(&id)).await, agent.list_connections(of(&unknown)).await);
    }
}

#[tokio::test]
async fn an_admin_key_lists_its_organization_or_the_identity_it_names() {
    let app = TestApp::start().await;
    let (one, two) = (app.identity("org_a").await, app.identity("org_a").await);
    let foreign = app.identity("org_b").await;
    let human = Human::new(&app, "+15551230001").await;
    let first = human.connects(&one).await.connection_id;
    let second = human.connects(&two).await.connection_id;
    let theirs = human.connects(&foreign).await.connection_id;

    let admin = app.admin("org_a").await;
    assert_eq!(listed_ids(&admin).await, [second.clone(), first.clone()]);
    assert_eq!(listed_ids(&app.admin("org_b").await).await, [theirs]);
    for (identity, id) in [(&one, first), (&two, second)] {
        let connections = admin.list_connections(of(&identity.id)).await.unwrap().connections;
        assert_eq!(connections.iter().map(|connection| &connection.id).collect::<Vec<_>>(), [&id]);
    }
}

#[tokio::test]
async fn unknown_and_foreign_identities_read_alike_to_an_admin_key() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    let unknown = Uuid::from_u128(1).to_string();

    let admin = app.admin("org_a").await;
    assert_reason(admin.list_connections(of(&unknown)).await, "NOT_FOUND");
    assert_alike(admin.list_connections(of(&foreign.id)).await, admin.list_connections(of(&unknown)).await);
}

#[tokio::test]
async fn neither_a_disabled_identity_nor_a_blocked_human_is_checked() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let human = Human::new(&app, "+15551230001").await;
    let thread = human.connects(&identity).await;
    rows::block(&app.pool, &identity, &human.number).await;
    let disable = UpdateIdentityRequest {
        identity_id: identity.id.clone(),
        imessage_enabled: Some(false),
        ..Default::default()
    };
    app.admin("org_a").await.update_identity(disable).await.unwrap();

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        for request in [ListConnectionsRequest::default(), of(&identity.id)] {
            let connections = caller.list_connections(request).await.unwrap().connections;
            let ids: Vec<_> = connections.into_iter().map(|connection| connection.id).collect();
            assert_eq!(ids, [thread.connection_id.as_str()]);
        }
    }
}

#[tokio::test]
async fn no_line_number_is_shown() {
    let app = TestApp::start().await;
    let human = Human::new(&app, "+15551230001").await;
    let mut identities = Vec::new();
    for _ in 0..3 {
        let identity = app.identity("org_a").await;
        human.connects(&identity).await;
        identities.push(identity);
    }

    for (caller, count) in [(app.admin("org_a").await, 3), (app.agent(&identities[0]).await, 1)] {
        let answer = caller.list_connections(ListConnectionsRequest::default()).await.unwrap();
        assert_eq!(answer.connections.len(), count);
        assert_names_no_line(&answer);
    }
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once_and_before_scope() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let bad = ListConnectionsRequest {
        agent_identity_id: Some(String::new()),
        limit: Some(201),
        offset: Some(-1),
        page_token: String::new(),
    };
    let bad_token = ListConnectionsRequest { offset: None, page_token: "nonsense".to_owned(), ..bad.clone() };
    for caller in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        let answer = caller.list_connections(bad.clone()).await;
        assert_fields(answer, &["agent_identity_id", "limit", "offset"]);
        let answer = caller.list_connections(bad_token.clone()).await;
        assert_fields(answer, &["agent_identity_id", "limit", "page_token"]);
    }
    assert_reason(app.router().await.list_connections(of(&identity.id)).await, "SCOPE_INSUFFICIENT");
    assert_reason(app.stranger().list_connections(bad).await, "API_KEY_INVALID");
}
