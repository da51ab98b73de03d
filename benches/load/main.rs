//! Load benchmark: throughput of the service relative to pgbench with the same SQL in the same run.
//!
//! `make bench` starts a private PostgreSQL and runs this program. It fills a database, starts the release build, and
//! measures each scenario in rounds that alternate with pgbench on the SQL of the scenario. All processes share the
//! machine: compare the ratios and CPU times, not the calls per second.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::missing_docs_in_private_items,
    unreachable_pub,
    reason = "a program for a terminal"
)]

mod bare;
mod drive;
mod fill;
mod meters;
mod pgbench;
mod report;
mod scenarios;
mod service;
mod soak;
mod watch;

use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use inkbox_imessage::proto::conversation_service_client::ConversationServiceClient;
use inkbox_imessage::proto::{GetConversationRequest, ListConversationsRequest};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tonic::transport::{Channel, Endpoint};

use crate::drive::Pace;
use crate::report::{Report, Round};
use crate::scenarios::{Scenario, World};

type Failure = Box<dyn std::error::Error + Send + Sync>;
type Result<T, E = Failure> = std::result::Result<T, E>;

/// Measures the service against pgbench on the same SQL.
#[derive(Debug, Parser)]
struct Args {
    /// URL of an empty database on this machine. Its user needs the permission to CHECKPOINT.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: Option<String>,
    /// Number of conversations in the database.
    #[arg(long, default_value = "20000")]
    conversations: u32,
    /// Number of messages in the database, spread evenly.
    #[arg(long, default_value = "2000000")]
    messages: u32,
    /// Scenarios to measure, by name [default: all].
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Number of rounds.
    #[arg(long, default_value = "3")]
    rounds: u32,
    /// Seconds per round, for the service and for pgbench each.
    #[arg(long, default_value = "4")]
    seconds: u64,
    /// Number of concurrent callers.
    #[arg(long, default_value = "32")]
    callers: usize,
    /// Number of connections that the callers share.
    #[arg(long, default_value = "4")]
    connections: usize,
    /// Number of clients of pgbench.
    #[arg(long, default_value = "8")]
    pgbench_clients: u32,
    /// Calls per second of all callers together [default: closed loop].
    #[arg(long)]
    rate: Option<f64>,
    /// Runs a soak test for this many seconds instead: mixed load, with a check that memory stays constant and that all
    /// resources are released.
    #[arg(long, value_name = "SECONDS")]
    soak: Option<u64>,
    /// Measures streams of events instead: this many idle ones, and then how long events take to arrive.
    #[arg(long, value_name = "NUMBER")]
    watchers: Option<usize>,
    /// File for the results.
    #[arg(long, default_value = "target/bench/latest.json")]
    out: PathBuf,
    /// Compares two files of results instead.
    #[arg(long, num_args = 2, value_names = ["FIRST", "SECOND"])]
    compare: Option<Vec<PathBuf>>,
    /// Runs the baseline server of the scenario `get-bare`.
    #[arg(long, hide = true)]
    bare: Option<String>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if let Some([first, second]) = args.compare.as_deref() {
        println!("{}", Report::read(first)?.comparison(&Report::read(second)?));
        return Ok(());
    }
    let url = args.database_url.clone().ok_or("DATABASE_URL is missing: `make bench` sets it")?;
    match &args.bare {
        Some(address) => bare::serve(&url, address).await,
        None => measure(&args, &url).await,
    }
}

async fn measure(args: &Args, url: &str) -> Result<()> {
    let mut scenarios = Scenario::ALL.to_vec();
    scenarios.retain(|scenario| args.only.is_empty() || args.only.iter().any(|name| name == scenario.name()));
    scenarios.retain(|scenario| {
        let full = scenario.fills_its_pages(args.conversations, args.messages);
        if !full {
            eprintln!("skipped, too few rows for full pages: {}", scenario.name());
        }
        full
    });
    let options = PgConnectOptions::from_str(url)?;
    eprintln!("filling: {} conversations, {} messages", args.conversations, args.messages);
    service::command(&["migrate"], url).await?;
    let admin = service::command(&["org", "create", fill::ORGANIZATION], url).await?;
    fill::fill(&options, args.conversations, args.messages).await?;
    let bench = Bench::start(url, options, &admin).await?;
    if let Some(seconds) = args.soak {
        println!("{}", settings(args));
        return soak::soak(&bench.service, &bench.world, args.callers, Duration::from_secs(seconds)).await;
    }
    if let Some(watchers) = args.watchers {
        let duration = Duration::from_secs(args.seconds);
        return watch::watch(url, &bench.options, &bench.service, &bench.world, watchers, duration).await;
    }
    let mut report = Report { settings: settings(args), ..Report::default() };
    for round in 1..=args.rounds {
        for scenario in &scenarios {
            eprintln!("round {round} of {}: {}", args.rounds, scenario.name());
            let measured = bench.round(args, *scenario).await?;
            report.scenarios.entry(scenario.name().to_owned()).or_default().push(measured);
        }
    }
    println!("{}", report.table());
    if let Some(folder) = args.out.parent() {
        std::fs::create_dir_all(folder)?;
    }
    report.write(&args.out)
}

fn settings(args: &Args) -> String {
    let pace = args.rate.map_or_else(|| "closed loop".to_owned(), |rate| format!("{rate} calls/s"));
    format!(
        "{} conversations, {} messages; {} callers on {} connections, {pace}; pgbench -M prepared -c {}; {} rounds of {} s",
        args.conversations,
        args.messages,
        args.callers,
        args.connections,
        args.pgbench_clients,
        args.rounds,
        args.seconds,
    )
}

/// The running processes.
struct Bench {
    options: PgConnectOptions,
    postmaster: u32,
    service: service::Service,
    bare: service::Service,
    world: Arc<World>,
}

impl Bench {
    async fn start(url: &str, options: PgConnectOptions, admin: &str) -> Result<Self> {
        let mut connection = options.connect().await?;
        let backend: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await?;
        let postmaster = meters::parent_of(backend.try_into()?)?;
        let identity: uuid::Uuid =
            sqlx::query_scalar("SELECT md5('i0')::uuid").fetch_one(&mut connection).await?;
        connection.close().await?;
        let identity = identity.to_string();
        let organization = ["--org", fill::ORGANIZATION];
        let agent =
            [&["key", "create", "--scope", "identity", "--identity", &identity], &organization[..]].concat();
        let agent = service::command(&agent, url).await?;
        let router = service::command(&["key", "create", "--scope", "router"], url).await?;
        let log = std::env::temp_dir().join(format!("inkbox-bench-{}.log", std::process::id()));
        let service = service::Service::start(url, &log).await?;
        let bare = service::Service::start_bare(url).await?;
        let world = World {
            targets: fill::targets(&options).await?,
            admin: admin.parse()?,
            agent: agent.parse()?,
            router: router.parse()?,
            deep: (String::new(), [String::new(), String::new()]),
        };
        Ok(Self { options, postmaster, service, bare, world: Arc::new(world) })
    }

    /// Runs one round of a scenario: the service, then pgbench.
    async fn round(&self, args: &Args, scenario: Scenario) -> Result<Round> {
        if let Some(unread) = scenario.unread() {
            fill::unread(&self.options, unread).await?;
        }
        let service = if scenario == Scenario::GetBare { &self.bare } else { &self.service };
        let mut world = self.world.clone();
        if scenario == Scenario::ListDeep {
            // Computed again, since messages of the previous round have moved rows to the front.
            let deep =
                deep_page(&self.options, &world, channel(&service.address)?, args.conversations).await?;
            world = Arc::new(World { deep, ..(*world).clone() });
        }
        let pid = service.pid()?;
        let duration = Duration::from_secs(args.seconds);
        let pace = Pace { callers: args.callers, connections: args.connections, duration, rate: args.rate };
        // Opens sessions and fills plans and caches, as in a service that has been running.
        warm_up(&world, &service.address, scenario).await?;
        meters::reset_peak(pid)?;
        let used = || {
            let postgres = meters::cpu_of_tree(self.postmaster)?;
            Ok::<_, Failure>([meters::cpu_of_tree(pid)?, postgres, meters::cpu_of(std::process::id())?])
        };
        let before = used()?;
        let seen = drive::drive(&world, &service.address, scenario, pace).await?;
        let after = used()?;
        let peak_kib = meters::peak_memory(pid)?;
        let thousands = drive::count(seen.calls) / 1_000.0;
        let [service_cpu, postgres_cpu, callers_cpu] =
            std::array::from_fn(|of| (after[of] - before[of]) / thousands);
        let script = scenario.script(&world)?;
        let before = meters::cpu_of_tree(self.postmaster)?;
        let baseline = pgbench::run(&self.options, &script, args.pgbench_clients, args.seconds).await?;
        let pgbench_cpu =
            (meters::cpu_of_tree(self.postmaster)? - before) / (baseline.transactions / 1_000.0);
        Ok(Round {
            per_second: seen.per_second(),
            p50: seen.percentile(0.5),
            p99: seen.percentile(0.99),
            service_cpu,
            postgres_cpu,
            callers_cpu,
            pgbench_per_second: baseline.per_second,
            pgbench_cpu,
            peak_kib,
        })
    }
}

/// Half a second of the scenario, or of reads if the scenario consumes its data.
async fn warm_up(world: &Arc<World>, address: &str, scenario: Scenario) -> Result<()> {
    let scenario = if scenario.unread().is_some() { Scenario::Get } else { scenario };
    let pace = Pace { callers: 16, connections: 4, duration: Duration::from_millis(500), rate: None };
    drive::drive(world, address, scenario, pace).await.map(drop)
}

/// Pages to the last full page of 50 rows, or to page 1,000.
async fn deep_page(
    options: &PgConnectOptions,
    world: &World,
    channel: Channel,
    conversations: u32,
) -> Result<(String, [String; 2])> {
    let pages = (conversations / 50).clamp(2, 1_000) - 1;
    let mut client = ConversationServiceClient::new(channel);
    let (mut token, mut last) = (String::new(), String::new());
    for _ in 0..pages {
        let request = ListConversationsRequest { limit: Some(50), page_token: token, ..Default::default() };
        let page = client.list_conversations(scenarios::with_key(request, &world.admin)).await?.into_inner();
        token = page.next_page_token;
        let row = page.conversations.last().ok_or("a page without rows")?;
        last = row.id.clone();
    }
    let get = GetConversationRequest { conversation_id: last.clone(), agent_identity_id: None };
    client.get_conversation(scenarios::with_key(get, &world.admin)).await?;
    let mut connection = options.connect().await?;
    let at: String = sqlx::query_scalar("SELECT latest_at::text FROM conversations WHERE id = $1::uuid")
        .bind(&last)
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    eprintln!("the deep page is number {}", pages + 1);
    Ok((token, [format!("'{at}'::timestamptz"), format!("'{last}'::uuid")]))
}

fn channel(address: &str) -> Result<Channel> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?.connect_lazy())
}
