use inkbox_imessage::domain::LineRole;
use inkbox_imessage::proto::{GetRouterNumberRequest, ReceiveOutcome};

use crate::support::app::{POOL_LINES, ROUTER_LINE};
use crate::support::{Human, TestApp, assert_reason, database};

#[tokio::test]
async fn every_kind_of_key_learns_the_router_number_and_the_command() {
    let app = TestApp::start().await;
    for caller in [app.admin("org_a").await, app.router().await] {
        let answer = caller.get_router_number(GetRouterNumberRequest {}).await.unwrap();
        assert_eq!(answer.number, ROUTER_LINE);
        assert_eq!(answer.connect_command, "connect @your-handle");
    }
}

#[tokio::test]
async fn an_identity_key_gets_its_own_handle_filled_in_and_the_command_works() {
    let app = TestApp::start().await;
    app.identity("org_a").await;
    let identity = app.identity_with("org_a", |new| new.agent_handle = "@SalesBot".to_owned()).await;
    let answer = app.agent(&identity).await.get_router_number(GetRouterNumberRequest {}).await.unwrap();
    assert_eq!(answer.number, ROUTER_LINE);
    assert_eq!(answer.connect_command, "connect @SalesBot");

    let human = Human::new(&app, "+15551230001").await;
    let connected = human.commands(&answer.connect_command).await;
    assert_eq!(connected.outcome(), ReceiveOutcome::Connected);
}

#[tokio::test]
async fn without_a_router_line_it_is_not_found_until_one_is_added() {
    let app = TestApp::builder().database(database::fresh().await).start().await;
    app.add_line(POOL_LINES[0], LineRole::Pool).await;
    let identity = app.identity("org_a").await;
    let callers = [app.admin("org_a").await, app.agent(&identity).await, app.router().await];
    for caller in &callers {
        assert_reason(caller.get_router_number(GetRouterNumberRequest {}).await, "NOT_FOUND");
    }
    app.add_line(ROUTER_LINE, LineRole::Router).await;
    for caller in &callers {
        let answer = caller.get_router_number(GetRouterNumberRequest {}).await.unwrap();
        assert_eq!(answer.number, ROUTER_LINE);
    }
}
