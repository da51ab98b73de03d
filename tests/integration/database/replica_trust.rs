//! When a standby is not read from: it lags, it is down, or it is not one.

use std::time::Duration;

use inkbox_imessage::proto::ListIdentitiesRequest;
use tokio::time::Instant;

use crate::database::replica::{ANY_LAG, Probe, pause, reading_from, resume};
use crate::support::cluster::{Cluster, FAST};
use crate::support::{TestApp, eventually};

/// The least that can be configured.
const SHORT_LAG: Duration = Duration::from_secs(1);
/// What a standby that fails may cost a call.
const UNNOTICED: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_standby_that_lags_too_much_is_left_until_it_has_caught_up() {
    let primary = Cluster::start(&[]).await;
    let standby = primary.standby().await;
    let app = primary.app(reading_from(&standby, SHORT_LAG)).await;
    let probe = Probe::new(&app, "org_a").await;
    probe.until_read_from(&standby).await;
    pause(&standby).await;
    probe.rename(&primary, "new").await;
    let written = Instant::now();
    eventually("the primary is read", async || (probe.shown().await == "new").then_some(())).await;
    assert!(written.elapsed() < 2 * SHORT_LAG, "{:?}", written.elapsed());
    for _ in 0..20 {
        assert_eq!(probe.shown().await, "new");
    }
    resume(&standby).await;
    probe.until_read_from(&standby).await;
    assert_eq!(probe.shown().await, "new");
}

#[tokio::test]
async fn a_standby_that_goes_down_costs_no_call_and_is_used_again_when_it_is_back() {
    let primary = Cluster::start(&[]).await;
    let mut standby = primary.standby().await;
    let app = primary.app(reading_from(&standby, ANY_LAG)).await;
    let probe = Probe::new(&app, "org_a").await;
    probe.until_read_from(&standby).await;
    standby.stop(FAST);
    for _ in 0..50 {
        let began = Instant::now();
        probe.shown().await;
        assert!(began.elapsed() < UNNOTICED, "{:?}", began.elapsed());
    }
    assert_eq!(app.health("").await, Some("SERVING"));
    standby.start_again().await;
    probe.until_read_from(&standby).await;
}

#[tokio::test]
async fn a_service_starts_without_its_standby_and_with_one_that_follows_nobody() {
    let primary = Cluster::start(&[]).await;
    let mut standby = primary.standby().await;
    standby.stop(FAST);
    let app = primary.app(reading_from(&standby, ANY_LAG)).await;
    let probe = Probe::new(&app, "org_a").await;
    probe.rename(&primary, "new").await;
    assert_eq!(probe.shown().await, "new");

    // Promoted by mistake: it answers, but nothing that is written comes through any more.
    standby.start_again().await;
    probe.until_read_from(&standby).await;
    standby.execute("SELECT pg_promote()").await;
    let lagging = TestApp::builder()
        .database(primary.options())
        .settings(reading_from(&standby, SHORT_LAG))
        .start()
        .await;
    probe.rename(&primary, "newest").await;
    let there = lagging.admin("org_a").await;
    for _ in 0..20 {
        let identities = there.list_identities(ListIdentitiesRequest::default()).await.unwrap().identities;
        assert_eq!(identities[0].display_name, "newest");
    }
}
