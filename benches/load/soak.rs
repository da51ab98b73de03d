//! Soak test: mixed load for a long time. Checks that memory stays constant and that all resources are released.

use std::sync::Arc;
use std::time::{Duration, Instant};

use inkbox_imessage::proto::conversation_service_client::ConversationServiceClient;
use inkbox_imessage::proto::message_service_client::MessageServiceClient;
use inkbox_imessage::proto::send_message_request::Target;
use inkbox_imessage::proto::{SendMessageRequest, SendTypingIndicatorRequest};
use rand::RngExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::scenarios::{Scenario, World, with_key};
use crate::service::Service;
use crate::{Result, channel};

/// How long callers keep their connections before they reconnect.
const CONNECTION_TIME: Duration = Duration::from_secs(10);
/// Load before the first measurement: afterwards, caches and the record of the sandbox are full and sessions are open.
const WARM_UP: Duration = Duration::from_mins(1);
/// Time after the load until all resources must be released: longer than the tasks of a closed connection live.
const RELEASE_TIME: Duration = Duration::from_secs(20);
/// Maximum growth of memory after the warm-up, as a fraction.
const MAX_MEMORY_GROWTH: f64 = 0.1;
/// One in this many calls is cancelled by its caller.
const CANCELLED_ONE_IN: u32 = 20;

/// The resources that the service holds at one moment, from its metrics.
#[derive(Debug, Clone, Copy)]
struct Held {
    mebibytes: f64,
    files: f64,
    tasks: f64,
    in_flight: f64,
}

/// The metrics of a service, as text.
async fn scrape(service: &Service) -> Result<String> {
    let mut stream = TcpStream::connect(&service.metrics).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

/// Memory of the service, in MiB.
pub async fn memory(service: &Service) -> Result<f64> {
    Ok(Held::by(service).await?.mebibytes)
}

/// The number of observations of a histogram, and upper bounds of its quantiles.
pub async fn quantiles<const N: usize>(
    service: &Service,
    name: &str,
    quantiles: [f64; N],
) -> Result<(f64, [f64; N])> {
    let text = scrape(service).await?;
    let prefix = format!("{name}_bucket{{le=\"");
    let mut buckets = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(&prefix)) {
        let (bound, count) = line.split_once("\"} ").ok_or("a bucket without a count")?;
        buckets.push((bound.replace("+Inf", "inf").parse::<f64>()?, count.parse::<f64>()?));
    }
    let (_, total) = *buckets.last().ok_or("no such histogram")?;
    let bound = |quantile: f64| {
        let found = buckets.iter().find(|(_, count)| *count >= quantile * total);
        found.map_or(f64::INFINITY, |(bound, _)| *bound)
    };
    Ok((total, quantiles.map(bound)))
}

impl Held {
    async fn by(service: &Service) -> Result<Self> {
        let text = scrape(service).await?;
        let sum = |name: &str| {
            let values = text.lines().filter(|line| line.starts_with(name));
            let values: Vec<f64> = values.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
            if values.is_empty() { Err(format!("no metric {name}")) } else { Ok(values.iter().sum::<f64>()) }
        };
        Ok(Self {
            mebibytes: sum("process_resident_memory_bytes ")? / f64::from(1 << 20),
            files: sum("process_open_fds ")?,
            tasks: sum("inkbox_runtime_tasks ")?,
            in_flight: sum("inkbox_grpc_requests_in_flight{")?,
        })
    }
}

/// Loads the service for `duration` and prints its resources every minute and at the end.
///
/// # Errors
/// If memory has grown, or if files, tasks or calls were not released.
pub async fn soak(service: &Service, world: &Arc<World>, callers: usize, duration: Duration) -> Result<()> {
    visits(service, world, callers, WARM_UP).await?;
    sleep(RELEASE_TIME).await;
    let before = Held::by(service).await?;
    println!("| minute | calls | cancelled | MiB | files | tasks |\n| --- | --- | --- | --- | --- | --- |");
    println!("| before | | | {:.1} | {} | {} |", before.mebibytes, before.files, before.tasks);
    let (mut of_first, mut most): (Option<f64>, f64) = (None, 0.0);
    let begun = Instant::now();
    while begun.elapsed() < duration {
        let minute = Duration::from_mins(1).min(duration.saturating_sub(begun.elapsed()));
        let (calls, cancelled) = visits(service, world, callers, minute).await?;
        let held = Held::by(service).await?;
        let number = begun.elapsed().as_secs().div_ceil(60);
        println!(
            "| {number} | {calls} | {cancelled} | {:.1} | {} | {} |",
            held.mebibytes, held.files, held.tasks
        );
        of_first.get_or_insert(held.mebibytes);
        most = most.max(held.mebibytes);
    }
    sleep(RELEASE_TIME).await;
    let after = Held::by(service).await?;
    println!("| after | | | {:.1} | {} | {} |", after.mebibytes, after.files, after.tasks);
    let of_first = of_first.ok_or("no minute of load")?;
    if most > of_first * (1.0 + MAX_MEMORY_GROWTH) {
        return Err(format!("memory grew from {of_first:.1} to {most:.1} MiB").into());
    }
    if (after.files, after.tasks, after.in_flight) != (before.files, before.tasks, before.in_flight) {
        return Err(format!("resources not released: {after:?}, before: {before:?}").into());
    }
    Ok(())
}

/// Runs callers that connect, make random calls and disconnect. Returns the number of completed and of cancelled calls.
async fn visits(service: &Service, world: &Arc<World>, callers: usize, time: Duration) -> Result<(u64, u64)> {
    let (begun, mut sum) = (Instant::now(), (0, 0));
    while begun.elapsed() < time {
        let until = (Instant::now() + CONNECTION_TIME).min(begun + time);
        let channels =
            (0..callers.div_ceil(8)).map(|_| channel(&service.address)).collect::<Result<Vec<_>>>()?;
        let mut running = JoinSet::new();
        for caller in 0..callers {
            let (world, channel) = (world.clone(), channels[caller % channels.len()].clone());
            running.spawn(async move {
                let (mut calls, mut cancelled) = (0, 0);
                while Instant::now() < until {
                    let call = any_call(&world, channel.clone());
                    if rand::rng().random_ratio(1, CANCELLED_ONE_IN) {
                        // Cancelled at a random point.
                        let timeout_after = Duration::from_micros(rand::rng().random_range(0..5_000));
                        cancelled += u64::from(timeout(timeout_after, call).await.is_err());
                    } else {
                        call.await?;
                        calls += 1;
                    }
                }
                Ok::<_, crate::Failure>((calls, cancelled))
            });
        }
        while let Some(ended) = running.join_next().await {
            let (calls, cancelled) = ended??;
            sum = (sum.0 + calls, sum.1 + cancelled);
        }
    }
    Ok(sum)
}

async fn any_call(world: &World, channel: tonic::transport::Channel) -> Result<()> {
    let (kind, number): (u32, u64) = (rand::rng().random_range(0..10), rand::rng().random());
    let scenario = match kind {
        0 | 1 => Scenario::Get,
        2 => Scenario::ListAll,
        3 => Scenario::ListClear,
        4 => Scenario::ListConnections,
        5 => Scenario::ListMessages,
        6 => Scenario::MarkOne,
        7 => Scenario::Receive,
        8 => return send(world, channel, number).await,
        _ => return send_typing(world, channel, number).await,
    };
    scenario.client(world, channel).call(number).await
}

async fn send(world: &World, channel: tonic::transport::Channel, number: u64) -> Result<()> {
    let request = SendMessageRequest {
        target: Some(Target::ConversationId(world.target(number).conversation.to_string())),
        text: Some("It is, since yesterday.".to_owned()),
        idempotency_key: Some(format!("soak-{number}")),
        ..Default::default()
    };
    MessageServiceClient::new(channel).send_message(with_key(request, &world.admin)).await?;
    Ok(())
}

async fn send_typing(world: &World, channel: tonic::transport::Channel, number: u64) -> Result<()> {
    let conversation_id = world.target(number).conversation.to_string();
    let request = SendTypingIndicatorRequest { conversation_id, ..Default::default() };
    ConversationServiceClient::new(channel).send_typing_indicator(with_key(request, &world.admin)).await?;
    Ok(())
}
