//! `serve`: runs the service, with what belongs to its process: listeners, signals, the embedded PostgreSQL, the demo.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::database_access::EMBEDDED_DATABASE;
use super::error::CliError;
use super::output::print_status;
use crate::carrier_webhooks::Webhooks;
use crate::clock::{DatabaseClock, SystemClock};
use crate::config::{ServeArgs, old_variables, unknown_variables};
use crate::dev::{demo, embedded_postgres};
use crate::net::listeners::{ListenAddress, Listeners};
use crate::server::shutdown::StopSignals;
use crate::server::{ServeError, Server, Settings};

pub(super) async fn serve(args: ServeArgs) -> Result<(), CliError> {
    for (old, new) in old_variables() {
        tracing::warn!("{old} is deprecated and will be removed in the next release: rename it to {new}");
    }
    for name in unknown_variables(&super::command()) {
        tracing::warn!("{name} is set, but no setting has this name: docs/configuration.md lists them");
    }
    let external = args.database.external().map_err(CliError::Usage)?;
    let standby = args.pool.standby().map_err(CliError::Usage)?;
    if standby.is_some() && external.is_none() {
        return Err(CliError::Usage("INKBOX_DATABASE_READ_URL needs DATABASE_URL".to_owned()));
    }
    if external.is_none() {
        args.database.embedded().map_err(CliError::Usage)?;
    }
    let migrate = args.migrate.unwrap_or(external.is_none());
    if migrate {
        args.database.can_migrate().map_err(CliError::Usage)?;
    }
    let lines = args.lines.settings().map_err(CliError::Usage)?;
    let webhooks = args.webhooks.checked().map_err(CliError::Usage)?;
    let signals = StopSignals::listen().map_err(|error| CliError::Failed(format!("signals: {error}")))?;
    let tls = args.server.tls.load().map_err(CliError::Usage)?;
    raise_file_limit();
    // Before anything is started, so that an address that is in use is reported at once.
    let listeners = Listeners::bind(&args.server.listen)
        .await
        .map_err(|(address, error)| CliError::Failed(format!("cannot listen on {address}: {error}")))?;
    let metrics =
        match args.metrics.metrics_listen {
            Some(address) => Some(TcpListener::bind(address).await.map_err(|error| {
                CliError::Failed(format!("cannot listen on {address} for metrics: {error}"))
            })?),
            None => None,
        };
    let webhooks = match webhooks {
        Some((address, secrets)) => Some(Webhooks::new(listen(address).await?, secrets)),
        None => None,
    };
    let is_embedded = external.is_none();
    let (database, embedded) = match external {
        Some(options) => (options, None),
        None => {
            let options = args.database.embedded().map_err(CliError::Usage)?;
            let server = embedded_postgres::Server::start(options.clone()).await?;
            (server.connect_options(EMBEDDED_DATABASE), Some((server, options)))
        }
    };
    let stop = CancellationToken::new();
    // The server outlives the drain, which still needs it.
    let server_stop = CancellationToken::new();
    let embedded = embedded.map(|(server, options)| {
        let kept = embedded_postgres::keep_running(server, options, server_stop.clone());
        let failed = stop.clone();
        tokio::spawn(async move { kept.await.inspect_err(|_| failed.cancel()) })
    });
    let settings = Settings {
        database,
        pooler: args.database.database_pooler.into(),
        standby,
        sessions: usize::from(args.pool.database_sessions),
        migrate,
        line_time_out: args.carrier_timeout,
        lines,
        sends_per_day: (args.sends_per_day > 0).then_some(args.sends_per_day),
        actions_per_minute: NonZeroU32::new(args.actions_per_minute),
        typing_renewal: None,
        retention: (&args.retention).into(),
        max_clock_skew: args.retention.max_clock_skew,
        admission: args.server.admission.limits(),
        calls: args.server.calls.limits(),
        connections: args.server.connection_limits(),
        tls,
        drain: args.server.drain.limits(is_embedded),
    };
    // Boxed, because the future is large.
    let served = Box::pin(run(settings, listeners, webhooks, metrics, signals, args.demo, stop)).await;
    server_stop.cancel();
    if let Some(embedded) = embedded {
        let postgres =
            embedded.await.map_err(|error| CliError::Failed(format!("private PostgreSQL: {error}")))??;
        if let Some(postgres) = postgres {
            postgres.stop().await?;
        }
    }
    served
}

async fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| CliError::Failed(format!("cannot listen on {address}: {error}")))
}

async fn run(
    settings: Settings,
    listeners: Listeners,
    webhooks: Option<Webhooks>,
    metrics: Option<TcpListener>,
    signals: StopSignals,
    with_demo: bool,
    stop: CancellationToken,
) -> Result<(), CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
    let addresses = listeners.addresses().map_err(|error| failed(&error))?;
    let with_tls = settings.tls.is_some();
    let mut server =
        Server::new(settings, Arc::new(DatabaseClock::new(SystemClock))).map_err(|error| failed(&error))?;
    if let Some(metrics) = metrics {
        let address = metrics.local_addr().map_err(|error| failed(&error))?;
        tracing::info!(metrics.address = %address, "metrics can be scraped");
        server = server.with_metrics(metrics);
    }
    if let Some(webhooks) = webhooks {
        server = server.with_webhooks(webhooks);
    }
    let app = server.app().clone();
    let mut ready = server.ready();
    let demo_stop = stop.clone();
    let first = addresses.first().map(ToString::to_string).unwrap_or_default();
    let presenting = tokio::spawn(async move {
        if !with_demo {
            return;
        }
        let presented = async {
            // The sender lives as long as the service.
            if ready.wait_for(|ready| *ready).await.is_err() {
                return;
            }
            match demo::set_up(&app).await {
                Ok(demo) => print_status(&demo.page(&first, with_tls)),
                Err(error) => tracing::error!(error = %error, "failed to set up the demo"),
            }
        };
        tokio::select! {
            () = presented => {}
            () = demo_stop.cancelled() => {}
        }
    });
    for address in &addresses {
        let tls = with_tls && matches!(address, ListenAddress::Tcp(_));
        tracing::info!(listen = %address, tls, "listening");
        if let ListenAddress::Tcp(address) = address
            && !tls
            && !address.ip().is_loopback()
        {
            tracing::warn!(
                "connections to this address are not encrypted: keys and messages are readable unless a proxy in front of it terminates TLS"
            );
        }
    }
    let ended = Box::pin(signals.run_until_stopped(stop.clone(), server.run(listeners, stop.clone()))).await;
    stop.cancel();
    if let Err(error) = presenting.await {
        tracing::error!(error = %error, "the demo task failed");
    }
    match ended {
        Some(Ok(())) => {
            tracing::info!("stopped");
            Ok(())
        }
        Some(Err(error @ ServeError::NotConfigured(_))) => Err(CliError::Usage(error.to_string())),
        Some(Err(error)) => Err(CliError::Failed(error.to_string())),
        None => Err(CliError::Failed("stopped without a drain".to_owned())),
    }
}

/// Raises the soft limit of open files to the hard limit: each connection needs a file descriptor, and the usual soft limit
/// of 1,024 is less than the maximum number of connections.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(error = %error, "cannot raise the limit of open files");
    }
}
