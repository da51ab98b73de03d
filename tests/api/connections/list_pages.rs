use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{Connection, Identity, ListConnectionsRequest, ListIdentitiesRequest};

use crate::support::callers::Caller;
use crate::support::{Human, TestApp, assert_fields, rows};

/// More pages than any list of these tests has: a walk that goes round in circles ends here.
const MOST_PAGES: usize = 50;

fn page(limit: i32, page_token: &str) -> ListConnectionsRequest {
    ListConnectionsRequest { limit: Some(limit), page_token: page_token.to_owned(), ..Default::default() }
}

/// Connects humans to an identity, the first ones at the same moment; oldest first.
async fn connect(app: &TestApp, identity: &Identity, humans: usize) -> Vec<Human> {
    let router = app.router().await;
    let mut connected = Vec::new();
    app.clock.freeze(app.clock.now());
    for n in 0..humans {
        if n > 3 {
            app.clock.advance(chrono::TimeDelta::seconds(1));
        }
        let human = Human { number: format!("+1555123000{n}"), router: router.clone() };
        human.connects(identity).await;
        connected.push(human);
    }
    connected
}

async fn whole(caller: &Caller) -> Vec<Connection> {
    let answer = caller.list_connections(page(200, "")).await.unwrap();
    assert_eq!(answer.next_page_token, "");
    answer.connections
}

#[tokio::test]
async fn paging_by_token_visits_every_row_once_and_ends_with_the_last_row() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    connect(&app, &identity, 6).await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        let expected = whole(&caller).await;
        assert_eq!(expected.len(), 6);
        for (limit, pages) in [(1, 6), (2, 3), (4, 2), (6, 1), (7, 1)] {
            let mut walked = Vec::new();
            let mut token = String::new();
            for turned in 1..MOST_PAGES {
                let answer = caller.list_connections(page(limit, &token)).await.unwrap();
                walked.extend(answer.connections);
                token = answer.next_page_token;
                assert_eq!(token.is_empty(), turned == pages, "page {turned} by {limit}");
                if token.is_empty() {
                    break;
                }
            }
            assert_eq!(walked, expected, "by {limit}");
        }
    }
}

#[tokio::test]
async fn connects_and_releases_meanwhile_neither_skip_nor_repeat_the_others() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let humans = connect(&app, &identity, 6).await;
    let agent = app.agent(&identity).await;
    let expected = whole(&agent).await;

    let first = agent.list_connections(page(2, "")).await.unwrap();
    humans[5].disconnects(&identity).await;
    humans[5].connects(&identity).await;
    humans[2].disconnects(&identity).await;
    let rest = agent.list_connections(page(200, &first.next_page_token)).await.unwrap();

    let walked = [first.connections, rest.connections].concat();
    let left: Vec<_> =
        expected.into_iter().filter(|connection| connection.remote_number != humans[2].number).collect();
    assert_eq!(walked, left);
}

#[tokio::test]
async fn limit_is_50_when_absent_and_at_most_200() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    rows::many_conversations(&app.pool, &identity, 201).await;

    for caller in [app.admin("org_a").await, app.agent(&identity).await] {
        for (limit, count) in [(None, 50), (Some(1), 1), (Some(200), 200)] {
            let request = ListConnectionsRequest { limit, ..Default::default() };
            let answer = caller.list_connections(request).await.unwrap();
            assert_eq!(answer.connections.len(), count, "{limit:?}");
        }
        for limit in [0, 201, -1, i32::MAX] {
            assert_fields(caller.list_connections(page(limit, "")).await, &["limit"]);
        }
    }
}

#[tokio::test]
async fn offset_skips_rows_and_does_not_go_with_a_token() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    connect(&app, &identity, 6).await;
    let admin = app.admin("org_a").await;
    let expected = whole(&admin).await;
    let from = |offset| ListConnectionsRequest { offset: Some(offset), ..page(2, "") };

    for (offset, rows) in [(0, &expected[..2]), (3, &expected[3..5]), (5, &expected[5..]), (6, &[])] {
        assert_eq!(admin.list_connections(from(offset)).await.unwrap().connections, rows, "{offset}");
    }
    assert_fields(admin.list_connections(from(-1)).await, &["offset"]);
    let token = admin.list_connections(page(2, "")).await.unwrap().next_page_token;
    let both = ListConnectionsRequest { page_token: token, ..from(0) };
    assert_fields(admin.list_connections(both).await, &["offset", "page_token"]);
}

#[tokio::test]
async fn a_token_is_bound_to_the_rows_that_it_was_given_for() {
    let app = TestApp::start().await;
    let (identity, sibling) = (app.identity("org_a").await, app.identity("org_a").await);
    connect(&app, &identity, 3).await;
    let (admin, agent) = (app.admin("org_a").await, app.agent(&identity).await);
    let named = |identity: &Identity, token: &str| ListConnectionsRequest {
        agent_identity_id: Some(identity.id.clone()),
        ..page(200, token)
    };

    let of_all = admin.list_connections(page(1, "")).await.unwrap().next_page_token;
    let of_one = agent.list_connections(page(1, "")).await.unwrap().next_page_token;
    for answer in [
        agent.list_connections(page(200, &of_all)).await,
        admin.list_connections(named(&identity, &of_all)).await,
        app.admin("org_b").await.list_connections(page(200, &of_all)).await,
        admin.list_connections(page(200, &of_one)).await,
        admin.list_connections(named(&sibling, &of_one)).await,
        app.agent(&sibling).await.list_connections(page(200, &of_one)).await,
        agent.list_connections(page(200, &of_one[..of_one.len() - 1])).await,
    ] {
        assert_fields(answer, &["page_token"]);
    }

    let replica = app.replica().await;
    let there = replica.with_secret(agent.secret.as_ref().unwrap());
    let rest = &whole(&agent).await[1..];
    assert_eq!(
        app.admin("org_a").await.list_connections(page(200, &of_all)).await.unwrap().connections,
        rest
    );
    assert_eq!(admin.list_connections(named(&identity, &of_one)).await.unwrap().connections, rest);
    assert_eq!(there.list_connections(page(200, &of_one)).await.unwrap().connections, rest);
}

#[tokio::test]
async fn a_token_is_refused_by_another_method_even_with_the_same_scope_and_filters() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    app.identity("org_a").await;
    connect(&app, &identity, 2).await;
    let admin = app.admin("org_a").await;

    let of_connections = admin.list_connections(page(1, "")).await.unwrap().next_page_token;
    let identities = ListIdentitiesRequest { limit: Some(1), page_token: String::new() };
    let of_identities = admin.list_identities(identities.clone()).await.unwrap().next_page_token;
    assert!(!of_connections.is_empty() && !of_identities.is_empty());

    assert_fields(admin.list_connections(page(1, &of_identities)).await, &["page_token"]);
    let identities = ListIdentitiesRequest { page_token: of_connections, ..identities };
    assert_fields(admin.list_identities(identities).await, &["page_token"]);
}
