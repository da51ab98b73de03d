//! Callers who hang up in the middle of a transaction. sqlx's own pool hands out again a session whose `BEGIN` was
//! given up on: the next caller's writes then land in that transaction, and are lost with it.

use std::time::Duration;

use futures_util::future::join_all;
use inkbox_imessage::proto::{CreateApiKeyRequest, CreateIdentityRequest, FilterMode};
use sqlx::postgres::PgPool;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::callers::Caller;
use crate::support::proxy::{NetworkState, Proxy};
use crate::support::{TestApp, database, eventually};

/// How long bytes travel to the database, one way, so that a caller can be gone while a statement is on its way.
const DELAY: Duration = Duration::from_millis(4);
/// How many callers hang up.
const CALLERS: u64 = 100;
/// How many of them call at once.
const AT_ONCE: u64 = 10;
/// In which a session that was left in a transaction must not be seen any more: less than the 10 s after which
/// PostgreSQL itself ends it.
const SETTLED: Duration = Duration::from_secs(5);

fn identity(handle: String) -> CreateIdentityRequest {
    CreateIdentityRequest {
        agent_handle: handle,
        display_name: None,
        imessage_enabled: true,
        filter_mode: FilterMode::Blacklist.into(),
        ..Default::default()
    }
}

fn key(identity_id: &str) -> CreateApiKeyRequest {
    CreateApiKeyRequest { agent_identity_id: identity_id.to_owned(), label: String::new(), expires_at: None }
}

/// Makes one of the two calls and hangs up after a while, which differs from caller to caller.
async fn call_and_hang_up(admin: Caller, identity_id: String, number: u64) {
    let patience = Duration::from_millis(number * 60 / CALLERS + 1);
    if number.is_multiple_of(2) {
        let _ = timeout(patience, admin.create_identity(identity(format!("gone-{number}")))).await;
    } else {
        let _ = timeout(patience, admin.create_api_key(key(&identity_id))).await;
    }
}

async fn count(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn callers_who_hang_up_leave_no_transaction_open_and_nothing_half_done() {
    let direct = database::fresh().await;
    let proxy = Proxy::unix(&direct);
    proxy.set(NetworkState { delay: DELAY, steady: true, ..NetworkState::default() });
    let app = TestApp::builder()
        .database(proxy.options(&direct))
        .settings(|settings| settings.sessions = 4)
        .start()
        .await;
    let pool = PgPool::connect_with(direct).await.unwrap();
    let admin = app.admin("org_a").await;
    let first = admin.create_identity(identity("first".to_owned())).await.unwrap().identity.unwrap();

    for batch in 0..CALLERS / AT_ONCE {
        // A connection a batch, so that some callers cancel a call and others leave altogether.
        let admin = app.with_secret(admin.secret.as_deref().unwrap());
        let calls =
            (0..AT_ONCE).map(|n| call_and_hang_up(admin.clone(), first.id.clone(), n * AT_ONCE + batch));
        join_all(calls).await;
    }

    let settled = eventually("no session is in a transaction", async || {
        let open = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        (count(&pool, open).await == 0).then_some(())
    });
    timeout(SETTLED, settled).await.expect("a session is left in a transaction");

    // As many as would meet a poisoned session for certain.
    let mut acknowledged = Vec::new();
    for number in 0..20 {
        let made = admin.create_identity(identity(format!("later-{number}"))).await.unwrap();
        acknowledged.push(Uuid::try_parse(&made.identity.unwrap().id).unwrap());
        admin.create_api_key(key(&first.id)).await.unwrap();
    }
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM identities WHERE id = ANY ($1)")
        .bind(&acknowledged)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(there, 20, "what was acknowledged is there");
    assert_eq!(
        count(&pool, "SELECT count(*) FROM handles").await,
        count(&pool, "SELECT count(*) FROM handles JOIN identities ON id = agent_identity_id").await,
    );
    assert_eq!(
        count(&pool, "SELECT count(*) FROM key_digests").await,
        count(&pool, "SELECT count(*) FROM key_digests JOIN api_keys ON id = api_key_id").await,
    );
}
