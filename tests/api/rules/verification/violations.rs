//! Each invariant is violated by hand.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use futures_util::stream::{StreamExt as _, iter};
use inkbox_imessage::maintenance::verify::{self, Report};
use inkbox_imessage::store::integrity::checks;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, raw_sql};

use super::names;
use super::scene::everything;
use super::table::{BREAKAGES, Breakage};
use crate::support::database;

/// Databases that are checked concurrently.
const CONCURRENCY: usize = 4;

async fn verify(options: &PgConnectOptions, now: DateTime<Utc>) -> Report {
    verify::verify(options, now).await.unwrap()
}

fn sorted(names: &[&'static str]) -> Vec<&'static str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

async fn violated(of: &PgConnectOptions, breakage: &Breakage) -> PgConnectOptions {
    let options = database::copy(of).await;
    let mut connection = options.connect().await.unwrap();
    // One statement at a time: Citus propagates a schema change together with everything sent in the same
    // message.
    for statement in breakage.sql.split(';') {
        raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    options
}

async fn is_reported_and_repaired(options: PgConnectOptions, now: DateTime<Utc>, breakage: &Breakage) {
    let Breakage { name, sql, besides, left } = breakage;
    let report = verify(&options, now).await;
    assert_eq!(names(&report), sorted(&[&[*name], *besides].concat()), "{sql}: {report:#?}");
    for violated in &report.violations {
        assert!(violated.count > 0 && !violated.examples.is_empty(), "{violated:?}");
        assert!(violated.examples.len() as u64 <= violated.count.min(10), "{violated:?}");
        // The output may end up in logs.
        assert!(violated.examples.iter().all(|violation| !violation.id.contains("+1555")), "{violated:?}");
        assert!(violated.repairable || left.contains(&violated.invariant), "{violated:?} is repaired");
    }
    let repaired: BTreeSet<_> = verify::repair(&options, now)
        .await
        .unwrap()
        .into_iter()
        .map(|repaired| {
            assert!(repaired.count > 0, "{repaired:?}");
            repaired.invariant
        })
        .collect();
    let after = verify(&options, now).await;
    assert_eq!(names(&after), sorted(left), "{sql}: {after:#?}");
    assert!(repaired.contains(name) != left.contains(name), "{sql}: {repaired:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_violation_is_reported_and_derived_data_is_repaired() {
    let (intact, now) = everything().await;
    let report = verify(&database::copy(&intact).await, now).await;
    assert_eq!(report.violations, [], "an intact database");
    assert!(report.organizations == 2 && report.rows > 30, "{report:?}");

    let violated_by_hand: BTreeSet<_> = BREAKAGES.iter().map(|breakage| breakage.name).collect();
    assert_eq!(
        violated_by_hand,
        checks::names().collect(),
        "a violation exists for each invariant and for no other"
    );
    iter(BREAKAGES)
        .for_each_concurrent(CONCURRENCY, async |breakage| {
            is_reported_and_repaired(violated(&intact, breakage).await, now, breakage).await;
        })
        .await;
}

#[tokio::test]
async fn a_repair_of_an_intact_database_changes_nothing() {
    let (intact, now) = everything().await;
    let before = contents(&intact).await;
    assert_eq!(verify::repair(&intact, now).await.unwrap(), []);
    assert_eq!(contents(&intact).await, before);
}

#[tokio::test]
async fn read_messages_stay_read_when_they_are_renumbered() {
    let (intact, now) = everything().await;
    let mut connection = intact.connect().await.unwrap();
    let read = "SELECT count(*) FROM messages m
                JOIN conversations c ON c.organization_id = m.organization_id AND c.id = m.conversation_id
                WHERE m.received_number <= c.clear_read";
    let violating = "
        ALTER TABLE conversations DROP CONSTRAINT conversations_horizon;
        UPDATE conversations SET clear_read = 1;
        UPDATE messages SET received_number = received_number + 7 WHERE received_number > 1";
    raw_sql(violating).execute(&mut connection).await.unwrap();
    let before: i64 = sqlx::query_scalar(read).fetch_one(&mut connection).await.unwrap();
    verify::repair(&intact, now).await.unwrap();
    assert_eq!(names(&verify(&intact, now).await), [""; 0]);
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
