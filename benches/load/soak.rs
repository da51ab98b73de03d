//! Mixed load for a long time: whether memory stays flat, and whether everything that was taken is given back.

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

use crate::scenes::{Scene, World, with_key};
use crate::service::Service;
use crate::{Result, channel};

/// How long callers keep their connections before they come back with new ones.
const VISIT: Duration = Duration::from_secs(10);
/// Before what is taken at the start is measured: caches and the sandbox's record are full by then, sessions open.
const WARM_UP: Duration = Duration::from_mins(1);
/// After load, until what it took must be given back: longer than a closed connection lives on.
const REST: Duration = Duration::from_secs(20);
/// How much more memory, as a part, may be in use at the end than after the warm-up.
const MEMORY_MAY_GROW: f64 = 0.1;
/// One call in so many is given up by its caller at once.
const GIVEN_UP: u32 = 20;

/// What the service holds at a moment, by its own metrics.
#[derive(Debug, Clone, Copy)]
struct Held {
    mebibytes: f64,
    files: f64,
    tasks: f64,
    in_flight: f64,
}

impl Held {
    async fn by(service: &Service) -> Result<Self> {
        let mut stream = TcpStream::connect(&service.metrics).await?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: m\r\nconnection: close\r\n\r\n").await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
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

/// Loads the service for so long and says what it held meanwhile and after.
///
/// # Errors
/// When memory grew, or files, tasks or calls are held that were not before.
pub async fn soak(service: &Service, world: &Arc<World>, callers: usize, duration: Duration) -> Result<()> {
    visits(service, world, callers, WARM_UP).await?;
    sleep(REST).await;
    let before = Held::by(service).await?;
    println!("| minute | calls | given up | MiB | files | tasks |\n| --- | --- | --- | --- | --- | --- |");
    println!("| before | | | {:.1} | {} | {} |", before.mebibytes, before.files, before.tasks);
    let (mut of_first, mut most): (Option<f64>, f64) = (None, 0.0);
    let begun = Instant::now();
    while begun.elapsed() < duration {
        let minute = Duration::from_mins(1).min(duration.saturating_sub(begun.elapsed()));
        let (calls, given_up) = visits(service, world, callers, minute).await?;
        let held = Held::by(service).await?;
        let number = begun.elapsed().as_secs().div_ceil(60);
        println!(
            "| {number} | {calls} | {given_up} | {:.1} | {} | {} |",
            held.mebibytes, held.files, held.tasks
        );
        of_first.get_or_insert(held.mebibytes);
        most = most.max(held.mebibytes);
    }
    sleep(REST).await;
    let after = Held::by(service).await?;
    println!("| after | | | {:.1} | {} | {} |", after.mebibytes, after.files, after.tasks);
    let of_first = of_first.ok_or("no minute of load")?;
    if most > of_first * (1.0 + MEMORY_MAY_GROW) {
        return Err(format!("memory grew from {of_first:.1} to {most:.1} MiB").into());
    }
    if (after.files, after.tasks, after.in_flight) != (before.files, before.tasks, before.in_flight) {
        return Err(format!("not given back: {after:?}, where it was {before:?}").into());
    }
    Ok(())
}

/// Callers that come, call at random, and go, until the time is over: how many calls were answered, and given up.
async fn visits(service: &Service, world: &Arc<World>, callers: usize, time: Duration) -> Result<(u64, u64)> {
    let (begun, mut sum) = (Instant::now(), (0, 0));
    while begun.elapsed() < time {
        let until = (Instant::now() + VISIT).min(begun + time);
        let channels =
            (0..callers.div_ceil(8)).map(|_| channel(&service.address)).collect::<Result<Vec<_>>>()?;
        let mut running = JoinSet::new();
        for caller in 0..callers {
            let (world, channel) = (world.clone(), channels[caller % channels.len()].clone());
            running.spawn(async move {
                let (mut calls, mut given_up) = (0, 0);
                while Instant::now() < until {
                    let call = any_call(&world, channel.clone());
                    if rand::rng().random_ratio(1, GIVEN_UP) {
                        // Given up in the middle, wherever that is.
                        let patience = Duration::from_micros(rand::rng().random_range(0..5_000));
                        given_up += u64::from(timeout(patience, call).await.is_err());
                    } else {
                        call.await?;
                        calls += 1;
                    }
                }
                Ok::<_, crate::Failure>((calls, given_up))
            });
        }
        while let Some(ended) = running.join_next().await {
            let (calls, given_up) = ended??;
            sum = (sum.0 + calls, sum.1 + given_up);
        }
    }
    Ok(sum)
}

async fn any_call(world: &World, channel: tonic::transport::Channel) -> Result<()> {
    let (kind, number): (u32, u64) = (rand::rng().random_range(0..10), rand::rng().random());
    let scene = match kind {
        0 | 1 => Scene::Get,
        2 => Scene::ListAll,
        3 => Scene::ListClear,
        4 => Scene::ListConnections,
        5 => Scene::ListMessages,
        6 => Scene::MarkOne,
        7 => Scene::Receive,
        8 => return send(world, channel, number).await,
        _ => return type_a_bit(world, channel, number).await,
    };
    scene.client(world, channel).call(number).await
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

async fn type_a_bit(world: &World, channel: tonic::transport::Channel, number: u64) -> Result<()> {
    let conversation_id = world.target(number).conversation.to_string();
    let request = SendTypingIndicatorRequest { conversation_id };
    ConversationServiceClient::new(channel).send_typing_indicator(with_key(request, &world.admin)).await?;
    Ok(())
}
