//! A database that contains rows of every kind.

use chrono::{DateTime, TimeDelta, Utc};
use inkbox_imessage::clock::Clock as _;
use inkbox_imessage::domain::OrganizationId;
use inkbox_imessage::maintenance::cleanup::{self, DEDUPLICATION_RETENTION, Retention};
use inkbox_imessage::proto::{RevokeApiKeyRequest, WhoAmIRequest};
use inkbox_imessage::store::retention::{self, DiscardOutcome, Participants};
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use crate::support::callers::Caller;
use crate::support::history::{History, add_texts};
use crate::support::{Human, TestApp, rows};

/// Humans, named after what they do.
const OLD: &str = "+15551230006";
const HAS_ALL: &str = "+15551230001";
/// Is connected and has sent no message.
pub(super) const SILENT: &str = "+15551230002";
const LEFT: &str = "+15551230003";
/// Disconnected and connected again.
pub(super) const BACK: &str = "+15551230004";
const DISCARDED: &str = "+15551230005";
/// Disconnected from an agent of one organization, then connected to one of another on the same line.
pub(super) const MOVED: &str = "+15551230007";
/// More messages than one purge batch deletes.
const MANY: i32 = 600;

/// Revokes the caller's key.
async fn revoke(caller: &Caller) {
    let api_key_id = caller.who_am_i(WhoAmIRequest {}).await.unwrap().api_key.unwrap().id;
    caller.revoke_api_key(RevokeApiKeyRequest { api_key_id }).await.unwrap();
}

/// A discarded conversation of which only the first batch is purged.
async fn half_purged(app: &TestApp) {
    let human = Human::new(app, DISCARDED).await;
    let identity = app.identity("org_a").await;
    let (_, conversation_id) = human.converses(&identity, "hello").await;
    add_texts(app, &conversation_id, MANY).await;
    human.disconnects(&identity).await;
    let owner = OrganizationId::from("org_a");
    let pair = Participants {
        organization_id: owner.clone(),
        identity_id: Uuid::try_parse(&identity.id).unwrap().into(),
        remote_number: DISCARDED.to_owned().into(),
    };
    let now = app.clock.now();
    let discarding = retention::discard(&app.parts.db, pair, None, now).await.unwrap();
    assert!(matches!(discarding, DiscardOutcome::Discarded(_)), "{discarding:?}");
    let id = Uuid::try_parse(&conversation_id).unwrap().into();
    assert!(
        retention::purge(&app.parts.db, &owner, id, now - DEDUPLICATION_RETENTION, now).await.unwrap().more
    );
}

/// Builds it. Returns the database without open connections, and the test clock's time.
pub(super) async fn everything() -> (PgConnectOptions, DateTime<Utc>) {
    let app = TestApp::start().await;
    let (a, other) = (app.identity("org_a").await, app.identity("org_a").await);
    let b = app.identity("org_b").await;

    let human = Human::new(&app, OLD).await;
    let history = History::between(&app, &human, &b).await;
    human.says(&history.thread, "old as well").await;
    app.clock.advance(TimeDelta::days(31));
    let bodies = Retention { bodies: Some(TimeDelta::days(30)), released: None, events: None, audit: None };
    cleanup::run_once(&app.parts, bodies).await.unwrap();
    human.says(&history.thread, "young").await;

    let human = Human::new(&app, HAS_ALL).await;
    let history = History::between(&app, &human, &a).await;
    human.says(&history.thread, "unread").await;
    rows::block(&app.pool, &a, HAS_ALL).await;
    human.says(&history.thread, "blocked and newest").await;
    rows::remove_rules(&app.pool, &a).await;
    rows::block(&app.pool, &a, "+15551239999").await;
    human.converses(&other, "two agents").await;
    human.converses(&b, "three agents").await;

    Human::new(&app, SILENT).await.connects(&a).await;
    let human = Human::new(&app, LEFT).await;
    human.converses(&other, "bye").await;
    human.disconnects(&other).await;
    let human = Human::new(&app, BACK).await;
    human.converses(&a, "hello").await;
    human.disconnects(&a).await;
    human.converses(&a, "hello again").await;
    let human = Human::new(&app, MOVED).await;
    let (first, _) = human.converses(&other, "to the one").await;
    human.disconnects(&other).await;
    let (second, _) = human.converses(&b, "to the other").await;
    assert_eq!(first.line, second.line);
    half_purged(&app).await;
    revoke(&app.admin("org_a").await).await;

    let (options, now) = (app.options.clone(), app.clock.now());
    app.stop.cancel();
    app.pool.close().await;
    app.until_stopped().await;
    (options, now)
}
