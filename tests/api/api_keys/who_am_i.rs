use std::time::Duration;

use chrono::{DateTime, DurationRound as _, TimeDelta, Utc};
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{ApiKey, ApiKeyScope, WhoAmIRequest};
use tokio::time::Instant;

use crate::support::callers::Caller;
use crate::support::{TestApp, eventually};

/// What `written within seconds` may mean at most.
const SECONDS: Duration = Duration::from_secs(10);

async fn who(caller: &Caller) -> ApiKey {
    caller.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap()
}

fn last_used_at(key: &ApiKey) -> Option<DateTime<Utc>> {
    key.last_used_at.and_then(|at| DateTime::from_timestamp(at.seconds, at.nanos.try_into().unwrap()))
}

#[tokio::test]
async fn every_kind_of_key_learns_what_it_is() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let table = [
        (app.admin("org_a").await, ApiKeyScope::Admin, Some("org_a"), None),
        (app.agent(&identity).await, ApiKeyScope::Identity, Some("org_a"), Some(identity.id.as_str())),
        (app.router().await, ApiKeyScope::Router, None, None),
    ];
    for (caller, scope, organization_id, identity_id) in table {
        let key = who(&caller).await;
        assert_eq!(key.scope(), scope);
        assert_eq!(key.organization_id.as_deref(), organization_id);
        assert_eq!(key.agent_identity_id.as_deref(), identity_id);
        assert_eq!(key.label, "test");
        assert!(caller.secret.unwrap().starts_with(&key.display_prefix) && key.display_prefix.len() >= 4);
        assert!(key.created_at.is_some());
        assert_eq!((key.expires_at, key.revoked_at), (None, None));
    }
}

#[tokio::test]
async fn the_last_use_is_written_within_seconds_to_the_minute() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let callers = [app.admin("org_a").await, app.agent(&identity).await, app.router().await];
    for round in [1, 2] {
        let now = app.clock.now() + TimeDelta::hours(1);
        app.clock.freeze(now);
        let minute = now.duration_trunc(TimeDelta::minutes(1)).unwrap();
        let used = Instant::now();
        for caller in &callers {
            who(caller).await;
        }
        for caller in &callers {
            eventually("the use is written down", async || {
                (last_used_at(&who(caller).await) == Some(minute)).then_some(())
            })
            .await;
        }
        assert!(used.elapsed() < SECONDS, "round {round}: {:?}", used.elapsed());
    }
}
