use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::proto::{
    ApiKeyScope, CreateApiKeyRequest, GetIdentityRequest, ListApiKeysRequest, WhoAmIRequest,
};
use prost_types::Timestamp;
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::support::assertions::assert_alike;
use crate::support::{TestApp, assert_fields, assert_reason};

fn of(identity_id: &str) -> CreateApiKeyRequest {
    CreateApiKeyRequest {
        agent_identity_id: identity_id.to_owned(),
        label: "for tests".to_owned(),
        expires_at: None,
    }
}

fn at(time: DateTime<Utc>) -> Timestamp {
    Timestamp { seconds: time.timestamp(), nanos: time.timestamp_subsec_nanos().try_into().unwrap() }
}

#[tokio::test]
async fn the_key_acts_for_its_identity_at_once() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let made = app.admin("org_a").await.create_api_key(of(&identity.id)).await.unwrap();
    let key = made.api_key.unwrap();
    assert_eq!(key.scope(), ApiKeyScope::Identity);
    assert_eq!(key.organization_id.as_deref(), Some("org_a"));
    assert_eq!(key.agent_identity_id.as_ref(), Some(&identity.id));
    assert_eq!(key.label, "for tests");
    assert_eq!((key.expires_at, key.revoked_at, key.last_used_at), (None, None, None));

    let agent = app.with_secret(&made.secret);
    let get = GetIdentityRequest { identity_id: identity.id.clone(), ..Default::default() };
    assert_eq!(agent.get_identity(get).await.unwrap().identity, Some(identity));
    assert_eq!(agent.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id, key.id);
}

#[tokio::test]
async fn the_secret_is_long_begins_with_its_display_prefix_and_is_never_the_same() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let mut secrets = BTreeSet::new();
    for _ in 0..3 {
        let made = admin.create_api_key(of(&identity.id)).await.unwrap();
        let prefix = made.api_key.unwrap().display_prefix;
        assert!(made.secret.len() >= 43, "{} characters", made.secret.len());
        assert!(!prefix.is_empty() && made.secret.starts_with(&prefix));
        assert!(made.secret.len() - prefix.len() >= 32, "the prefix gives too much away");
        secrets.insert(made.secret);
    }
    assert_eq!(secrets.len(), 3);
}

/// Where bytes occur in the text and bytea of any table.
async fn places_of(pool: &PgPool, needle: &[u8]) -> Vec<String> {
    let columns: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT table_name::text, column_name::text, data_type::text FROM information_schema.columns
         WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'bytea', 'jsonb', 'ARRAY')",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut places = Vec::new();
    for (table, column, kind) in columns {
        let bytes = match kind.as_str() {
            "bytea" => column.clone(),
            _ => format!("convert_to({column}::text, 'UTF8')"),
        };
        let statement = format!("SELECT count(*) FROM {table} WHERE position($1 IN {bytes}) > 0");
        let found: i64 =
            sqlx::query_scalar(AssertSqlSafe(statement)).bind(needle).fetch_one(pool).await.unwrap();
        if found > 0 {
            places.push(format!("{table}.{column}"));
        }
    }
    places
}

#[tokio::test]
async fn of_the_secret_only_a_sha256_and_the_display_prefix_are_stored() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let made = app.admin("org_a").await.create_api_key(of(&identity.id)).await.unwrap();
    app.with_secret(&made.secret).who_am_i(WhoAmIRequest {}).await.unwrap();

    let prefix = made.api_key.unwrap().display_prefix;
    let beyond_prefix = &made.secret[prefix.len()..];
    let raw = URL_SAFE_NO_PAD.decode(&made.secret[made.secret.len() - 43..]).unwrap();
    for part in [made.secret.as_bytes(), beyond_prefix.as_bytes(), &raw] {
        assert_eq!(places_of(&app.pool, part).await, [""; 0]);
    }
    assert_eq!(places_of(&app.pool, &Sha256::digest(&made.secret)).await, ["key_digests.digest"]);
    assert_eq!(places_of(&app.pool, prefix.as_bytes()).await, ["api_keys.display_prefix"]);
}

#[tokio::test]
async fn the_secret_is_in_no_other_answer() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let made = admin.create_api_key(of(&identity.id)).await.unwrap();
    let prefix = made.api_key.unwrap().display_prefix;
    let listed = admin.list_api_keys(ListApiKeysRequest::default()).await.unwrap();
    let who = app.with_secret(&made.secret).who_am_i(WhoAmIRequest {}).await.unwrap();
    for seen in [format!("{listed:?}"), format!("{who:?}")] {
        assert!(seen.contains(&prefix));
        assert!(!seen.contains(&made.secret[prefix.len()..]));
    }
}

#[tokio::test]
async fn unknown_and_foreign_identities_read_byte_for_byte_alike() {
    let app = TestApp::start().await;
    let foreign = app.identity("org_b").await;
    let admin = app.admin("org_a").await;
    let unknown = Uuid::from_u128(1).to_string();
    assert_reason(admin.create_api_key(of(&unknown)).await, "NOT_FOUND");
    assert_alike(admin.create_api_key(of(&foreign.id)).await, admin.create_api_key(of(&unknown)).await);
}

#[tokio::test]
async fn a_key_stops_at_its_expiry_and_one_in_the_past_is_refused() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let now = app.clock.now();
    app.clock.freeze(now);
    let until = |time: DateTime<Utc>| CreateApiKeyRequest { expires_at: Some(at(time)), ..of(&identity.id) };
    for past in [now, now - TimeDelta::microseconds(1), DateTime::UNIX_EPOCH] {
        assert_fields(admin.create_api_key(until(past)).await, &["expires_at"]);
    }

    let expires_at = now + TimeDelta::hours(1);
    let made = admin.create_api_key(until(expires_at)).await.unwrap();
    assert_eq!(made.api_key.unwrap().expires_at, Some(at(expires_at)));
    let agent = app.with_secret(&made.secret);
    app.clock.freeze(expires_at - TimeDelta::microseconds(1));
    assert!(agent.who_am_i(WhoAmIRequest {}).await.is_ok());
    app.clock.freeze(expires_at);
    assert_reason(agent.who_am_i(WhoAmIRequest {}).await, "API_KEY_INVALID");
    assert_alike(agent.who_am_i(WhoAmIRequest {}).await, app.stranger().who_am_i(WhoAmIRequest {}).await);
}

#[tokio::test]
async fn wrong_fields_are_named_all_at_once() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    let admin = app.admin("org_a").await;
    let labelled = |label: String| CreateApiKeyRequest { label, ..of(&identity.id) };
    assert!(admin.create_api_key(labelled("é".repeat(255))).await.is_ok());
    for label in ["é".repeat(256), "a\0b".to_owned()] {
        assert_fields(admin.create_api_key(labelled(label)).await, &["label"]);
    }
    let expires_at = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
    let bad = CreateApiKeyRequest { expires_at, label: "\0".to_owned(), agent_identity_id: String::new() };
    assert_fields(admin.create_api_key(bad).await, &["agent_identity_id", "label", "expires_at"]);
}

#[tokio::test]
async fn only_admin_keys_make_keys() {
    let app = TestApp::start().await;
    let identity = app.identity("org_a").await;
    for caller in [app.agent(&identity).await, app.router().await] {
        assert_reason(caller.create_api_key(of(&identity.id)).await, "SCOPE_INSUFFICIENT");
        assert_fields(caller.create_api_key(of("")).await, &["agent_identity_id"]);
    }
}
