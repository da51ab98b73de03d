//! Each invariant is broken by hand.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures_util::stream::{StreamExt as _, iter};
use inkbox_imessage::store::integrity::checks;
use inkbox_imessage::verification::{self, Report};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, raw_sql};

use super::names;
use super::scene::everything;
use super::table::{BREAKAGES, Breakage};
use crate::support::database;

/// Databases that are broken and looked at at once.
const AT_ONCE: usize = 4;

async fn verify(options: &PgConnectOptions, now: DateTime<Utc>) -> Report {
    verification::verify(options, now).await.unwrap()
}

fn sorted(names: &[&'static str]) -> Vec<&'static str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

async fn broken(of: &PgConnectOptions, breakage: &Breakage) -> PgConnectOptions {
    let options = database::copy(of).await;
    let mut connection = options.connect().await.unwrap();
    // One by one: Citus passes a change of the schema on with all that was sent along.
    for statement in breakage.sql.split(';') {
        raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    options
}

async fn is_named_and_mended(options: PgConnectOptions, now: DateTime<Utc>, breakage: &Breakage) {
    let Breakage { name, sql, besides, left } = breakage;
    let report = verify(&options, now).await;
    assert_eq!(names(&report), sorted(&[&[*name], *besides].concat()), "{sql}: {report:#?}");
    for broken in &report.broken {
        assert!(broken.count > 0 && !broken.examples.is_empty(), "{broken:?}");
        assert!(broken.examples.len() as u64 <= broken.count.min(10), "{broken:?}");
        // What is printed ends in logs.
        assert!(broken.examples.iter().all(|breach| !breach.id.contains("+1555")), "{broken:?}");
        assert!(broken.can_be_mended || left.contains(&broken.invariant), "{broken:?} is mended");
    }
    let mended: BTreeSet<_> = verification::repair(&options, now)
        .await
        .unwrap()
        .into_iter()
        .map(|mended| {
            assert!(mended.count > 0, "{mended:?}");
            mended.invariant
        })
        .collect();
    let after = verify(&options, now).await;
    assert_eq!(names(&after), sorted(left), "{sql}: {after:#?}");
    assert!(mended.contains(name) != left.contains(name), "{sql}: {mended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_by_hand_is_named_and_what_follows_from_other_rows_is_mended() {
    let (whole, now) = everything().await;
    let report = verify(&database::copy(&whole).await, now).await;
    assert_eq!(report.broken, [], "what nobody broke");
    assert!(report.organizations == 2 && report.rows > 30, "{report:?}");

    let broken_by_hand: BTreeSet<_> = BREAKAGES.iter().map(|breakage| breakage.name).collect();
    assert_eq!(broken_by_hand, checks::names().collect(), "each is broken, and no other");
    iter(BREAKAGES)
        .for_each_concurrent(AT_ONCE, async |breakage| {
            is_named_and_mended(broken(&whole, breakage).await, now, breakage).await;
        })
        .await;
}

#[tokio::test]
async fn a_repair_of_what_is_whole_changes_nothing() {
    let (whole, now) = everything().await;
    let before = contents(&whole).await;
    assert_eq!(verification::repair(&whole, now).await.unwrap(), []);
    assert_eq!(contents(&whole).await, before);
}

#[tokio::test]
async fn what_was_read_stays_read_when_messages_are_numbered_anew() {
    let (whole, now) = everything().await;
    let mut connection = whole.connect().await.unwrap();
    let read = "SELECT count(*) FROM messages m
                JOIN conversations c ON c.organization_id = m.organization_id AND c.id = m.conversation_id
                WHERE m.received_number <= c.clear_read";
    let breaking = "
        ALTER TABLE conversations DROP CONSTRAINT conversations_horizon;
        UPDATE conversations SET clear_read = 1;
        UPDATE messages SET received_number = received_number + 7 WHERE received_number > 1";
    raw_sql(breaking).execute(&mut connection).await.unwrap();
    let before: i64 = sqlx::query_scalar(read).fetch_one(&mut connection).await.unwrap();
    verification::repair(&whole, now).await.unwrap();
    assert_eq!(names(&verify(&whole, now).await), [""; 0]);
    let after: i64 = sqlx::query_scalar(read).fetch_one(&mut connection).await.unwrap();
    assert!(before > 3, "{before}");
    assert_eq!(after, before);
}

async fn contents(options: &PgConnectOptions) -> std::collections::BTreeMap<String, serde_json::Value> {
    let pool = sqlx::postgres::PgPool::connect_with(options.clone()).await.unwrap();
    let contents = crate::support::snapshot::everything(&pool).await;
    pool.close().await;
    contents
}
