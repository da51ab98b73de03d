//! Keys that do not work: they cost little, and keep nobody else waiting.

use inkbox_imessage::proto::{ListConnectionsRequest, WhoAmIRequest};
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::callers::Caller;
use crate::support::locks::{commit, locking, until_waiting};
use crate::support::{TestApp, assert_reason};

/// A text that has the form of a key and is none.
fn unknown(number: usize) -> String {
    format!("ink_{number:043}")
}

#[tokio::test]
async fn a_text_that_cannot_be_a_key_is_refused_without_a_look_up() {
    let app = TestApp::start().await;
    let keys = locking(&app, "BEGIN; LOCK TABLE key_digests").await;
    for secret in ["", "key", "ink_", "ink_short", &unknown(1)[1..], &format!("{}0", unknown(1))] {
        let refused = app.with_secret(secret).who_am_i(WhoAmIRequest {}).await;
        assert_reason(refused, "API_KEY_INVALID");
    }
    commit(keys).await;
}

#[tokio::test]
async fn an_unknown_key_that_is_presented_again_is_refused_without_a_look_up() {
    let app = TestApp::start().await;
    let caller = app.with_secret(&unknown(1));
    assert_reason(caller.who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
    let keys = locking(&app, "BEGIN; LOCK TABLE key_digests").await;
    assert_reason(caller.who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
    commit(keys).await;
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_bounded_and_does_not_delay_keys_that_are_known() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let list = || admin.list_connections(ListConnectionsRequest::default());
    list().await.unwrap();
    let keys = locking(&app, "BEGIN; LOCK TABLE key_digests").await;
    let mut flood = JoinSet::new();
    // A connection has at most 256 calls at once.
    let connections = [app.channel(), app.channel(), app.channel()];
    for number in 0..600 {
        let caller = Caller::new(connections[number % 3].clone(), Some(unknown(number)));
        flood.spawn(async move { caller.who_am_i(WhoAmIRequest {}).await });
    }
    // The others wait for the locked table.
    let refused = flood.join_next().await.unwrap().unwrap();
    assert!(assert_reason(refused, "OVERLOADED").retry_info().is_some());
    until_waiting(&app, 4).await;
    for _ in 0..10 {
        list().await.unwrap();
    }

    commit(keys).await;
    while let Some(call) = flood.join_next().await {
        let call = call.unwrap();
        let is_wrong = call.as_ref().is_err_and(|status| status.code() == Code::Unauthenticated);
        assert_reason(call, if is_wrong { "API_KEY_INVALID" } else { "OVERLOADED" });
    }
}
