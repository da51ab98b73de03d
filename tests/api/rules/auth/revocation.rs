use std::time::Duration;

use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{ListIdentitiesRequest, RevokeApiKeyRequest, WhoAmIRequest};
use inkbox_imessage::store::Database;
use inkbox_imessage::store::api_keys::{self, KeyOwner};
use sqlx::ConnectOptions as _;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tonic::Code;
use uuid::Uuid;

use crate::support::callers::Caller;
use crate::support::locks::{self, until_waiting};
use crate::support::metrics::Scrape;
use crate::support::{TestApp, assert_reason, eventually};

/// How long after the answer to a revoke another replica may still take the key.
const EVERYWHERE: Duration = Duration::from_secs(1);

async fn key_id(caller: &Caller) -> String {
    caller.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id
}

/// The same key, presented to another replica, which has it in its cache then.
async fn known_to(replica: &TestApp, caller: &Caller) -> Caller {
    let there = replica.with_secret(caller.secret.as_ref().unwrap());
    for _ in 0..3 {
        key_id(&there).await;
    }
    there
}

/// Asserts that a key is refused within [`EVERYWHERE`] from now on, and for good.
async fn assert_ends(caller: &Caller) {
    let revoked = Instant::now();
    let refused = eventually("the key is refused", async || {
        caller.who_am_i(WhoAmIRequest {}).await.err().map(|status| (status, revoked.elapsed()))
    });
    let (status, after) = refused.await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(after < EVERYWHERE, "refused after {after:?}");
    for _ in 0..3 {
        assert_reason(caller.who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
    }
}

#[tokio::test]
async fn a_key_revoked_on_one_replica_is_refused_there_at_once_and_on_another_within_a_second() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    for _ in 0..3 {
        let here = app.agent(&identity).await;
        let api_key_id = key_id(&here).await;
        let there = known_to(&other, &here).await;
        admin.revoke_api_key(RevokeApiKeyRequest { api_key_id }).await.unwrap();
        let ((), at_once) = tokio::join!(assert_ends(&there), here.who_am_i(WhoAmIRequest {}));
        assert_reason(at_once, "API_KEY_INVALID");
    }
    let survivor = known_to(&other, &admin).await;
    assert_eq!(key_id(&survivor).await, key_id(&admin).await);
}

#[tokio::test]
async fn a_key_that_the_operator_revokes_is_refused_on_every_replica_within_a_second() {
    let app = TestApp::start().await;
    let other = app.replica().await;
    let identity = app.identity("org_a").await;
    let operator = Database::new(&app.options, 1, TaskTracker::new());
    operator.open();
    for here in [app.admin("org_a").await, app.agent(&identity).await, app.router().await] {
        let there = known_to(&other, &here).await;
        let id = Uuid::try_parse(&key_id(&here).await).unwrap().into();
        let revoked = api_keys::revoke(&operator, KeyOwner::Anyone, id, app.clock.now()).await.unwrap();
        assert!(revoked.unwrap().revoked_at.is_some());
        tokio::join!(assert_ends(&here), assert_ends(&there));
    }
}

#[tokio::test]
async fn calls_with_one_key_share_a_look_up_after_a_revocation() {
    let app = TestApp::start().await;
    let admin = app.admin("org_a").await;
    let api_key_id = key_id(&app.admin("org_a").await).await;
    admin.revoke_api_key(RevokeApiKeyRequest { api_key_id }).await.unwrap();

    let mut lock = app.options.connect().await.unwrap();
    sqlx::query("BEGIN").execute(&mut lock).await.unwrap();
    sqlx::query("LOCK TABLE key_digests IN ACCESS EXCLUSIVE MODE").execute(&mut lock).await.unwrap();
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let admin = admin.clone();
            tokio::spawn(async move { admin.list_identities(ListIdentitiesRequest::default()).await })
        })
        .collect();
    eventually("every call misses the cache", async || {
        let scrape = Scrape::of(app.metrics).await;
        let misses = scrape.value("inkbox_key_cache_lookups_total", &[("result", "miss")]);
        (misses >= Some(20.0)).then_some(())
    })
    .await;
    until_waiting(&app, 1).await;
    locks::commit(lock).await;
    for call in calls {
        call.await.unwrap().unwrap();
    }
}
