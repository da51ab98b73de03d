//! Streams of events: what idle ones cost, and how long events take to arrive on the same and on another replica.

use std::time::{Duration, Instant};

use inkbox_imessage::auth::{self, NewKey};
use inkbox_imessage::clock::{Clock as _, SystemClock};
use inkbox_imessage::domain::ApiKeyScope;
use inkbox_imessage::proto::event_service_client::EventServiceClient;
use inkbox_imessage::proto::{WatchEventsRequest, WatchEventsResponse};
use inkbox_imessage::store::{self, Database};
use sqlx::postgres::PgConnectOptions;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::TaskTracker;
use tonic::Streaming;
use tonic::metadata::AsciiMetadataValue;

use crate::scenarios::{Scenario, World, with_key};
use crate::service::Service;
use crate::{Result, channel, meters, soak};

/// Organizations of the idle streams.
const ORGANIZATIONS: usize = 1_000;
/// Idle streams that share a connection.
const PER_CONNECTION: usize = 200;
/// How long idle streams are observed.
const IDLE: Duration = Duration::from_secs(20);
/// Texts per second, while the times of delivery are measured.
const RATE: u32 = 500;

/// Measures `watchers` idle streams, and then deliveries for `duration`.
pub async fn watch(
    url: &str,
    options: &PgConnectOptions,
    service: &Service,
    world: &World,
    watchers: usize,
    duration: Duration,
) -> Result<()> {
    let keys = keys(options, ORGANIZATIONS.min(watchers)).await?;
    let before = soak::memory(service).await?;
    let mut idle = Vec::with_capacity(watchers);
    for first in (0..watchers).step_by(PER_CONNECTION) {
        let channel = channel(&service.address)?;
        for n in first..watchers.min(first + PER_CONNECTION) {
            idle.push(open(&channel, &keys[n % keys.len()]).await?);
        }
    }
    let opened = soak::memory(service).await?;
    let (cpu, began) = (meters::cpu_of(service.pid()?)?, Instant::now());
    sleep(IDLE).await;
    let used = (meters::cpu_of(service.pid()?)? - cpu) / began.elapsed().as_secs_f64();
    println!(
        "{watchers} idle streams of {} organizations: {before:.0} MiB before, {opened:.0} MiB with them, {:.1} % of a core",
        keys.len(),
        used * 100.0
    );
    drop(idle);

    let log = std::env::temp_dir().join(format!("inkbox-bench-other-{}.log", std::process::id()));
    let other = Service::start(url, &log).await?;
    let mut tasks = Vec::new();
    for place in [service, &other] {
        let mut stream = open(&channel(&place.address)?, &world.agent).await?;
        tasks.push(tokio::spawn(async move { while let Ok(Some(_)) = stream.message().await {} }));
    }
    let calls = channel(&service.address)?;
    let mut ticks = interval(Duration::from_secs(1) / RATE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began = Instant::now();
    let (mut number, mut sent) = (0_u64, tokio::task::JoinSet::new());
    let world = std::sync::Arc::new(world.clone());
    while began.elapsed() < duration {
        ticks.tick().await;
        number += 1;
        let (world, calls) = (world.clone(), calls.clone());
        sent.spawn(async move { Scenario::Receive.client(&world, calls).call(number).await });
        while let Some(ended) = sent.try_join_next() {
            ended??;
        }
    }
    while let Some(ended) = sent.join_next().await {
        ended??;
    }
    sleep(Duration::from_secs(1)).await;
    for (name, place) in [("the same replica", service), ("another replica", &other)] {
        let (count, quantiles) = soak::quantiles(place, "inkbox_event_delivery_seconds", [0.5, 0.99]).await?;
        println!(
            "{count} of {number} events at {RATE}/s delivered by {name}: p50 up to {} ms, p99 up to {} ms",
            quantiles[0] * 1_000.0,
            quantiles[1] * 1_000.0
        );
    }
    for task in tasks {
        task.abort();
    }
    Ok(())
}

async fn open(
    channel: &tonic::transport::Channel,
    key: &AsciiMetadataValue,
) -> Result<Streaming<WatchEventsResponse>> {
    let request = with_key(WatchEventsRequest::default(), key);
    let mut stream = EventServiceClient::new(channel.clone()).watch_events(request).await?.into_inner();
    stream.message().await?.ok_or("a stream without a heartbeat")?;
    Ok(stream)
}

/// Admin keys of new organizations.
async fn keys(options: &PgConnectOptions, count: usize) -> Result<Vec<AsciiMetadataValue>> {
    let db = Database::new(options, 4, TaskTracker::new());
    db.open();
    let made = (0..count).map(|n| {
        let db = &db;
        async move {
            let organization = format!("org_watcher_{n}");
            store::organizations::create(db, &organization.as_str().into(), SystemClock.now()).await?;
            let new = NewKey {
                scope: ApiKeyScope::Admin,
                organization_id: Some(organization.as_str().into()),
                agent_identity_id: None,
                label: "bench".to_owned(),
                expires_at: None,
            };
            let (_, secret) = auth::issue_key(db, &SystemClock, new).await?;
            Ok::<_, crate::Failure>(secret.reveal().parse()?)
        }
    });
    let mut keys = Vec::with_capacity(count);
    for key in made {
        keys.push(key.await?);
    }
    Ok(keys)
}
