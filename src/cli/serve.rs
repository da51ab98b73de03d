//! `serve`: the service, with everything around it that a process has.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::operator::EMBEDDED_DATABASE;
use super::{Failure, say};
use crate::clock::SystemClock;
use crate::config::ServeArgs;
use crate::grpc::limits::CallLimits;
use crate::server::{Server, Settings};
use crate::shutdown::{DrainLimits, StopSignals};
use crate::{demo, embedded};

/// How long calls are still taken after health says `NOT_SERVING`, where a balancer may stand before us.
const GRACE: std::time::Duration = std::time::Duration::from_secs(3);

pub(super) async fn serve(args: ServeArgs) -> Result<(), Failure> {
    let external = args.database.external().map_err(Failure::Usage)?;
    let standby = args.pool.standby().map_err(Failure::Usage)?;
    if standby.is_some() && external.is_none() {
        return Err(Failure::Usage("INKBOX_DATABASE_READ_URL needs DATABASE_URL".to_owned()));
    }
    let migrate = args.migrate.unwrap_or(external.is_none());
    if migrate {
        args.database.can_migrate().map_err(Failure::Usage)?;
    }
    let signals = StopSignals::listen().map_err(|error| Failure::Failed(format!("signals: {error}")))?;
    // First of all, so that an address that is taken is told before anything is started.
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::Failed(format!("cannot listen on {}: {error}", args.listen)))?;
    let is_embedded = external.is_none();
    let (database, embedded) = match external {
        Some(options) => (options, None),
        None => {
            let server = embedded::Server::start(args.database.embedded())
                .await
                .map_err(|error| Failure::Failed(error.to_string()))?;
            (server.connect_options(EMBEDDED_DATABASE), Some(server))
        }
    };
    let settings = Settings {
        database,
        pooler: args.database.database_pooler,
        standby,
        sessions: usize::from(args.pool.database_sessions),
        migrate,
        line_time_out: args.line_timeout,
        sends_per_day: (args.sends_per_day > 0).then_some(args.sends_per_day),
        calls: CallLimits { in_flight: usize::from(args.calls_in_flight), longest: args.call_limit },
        drain: DrainLimits {
            grace: args.drain_grace.unwrap_or(if is_embedded { std::time::Duration::ZERO } else { GRACE }),
            finish: args.drain_limit,
        },
    };
    let served = govern(settings, listener, signals, args.demo).await;
    if let Some(server) = embedded {
        server.stop().await.map_err(|error| Failure::Failed(error.to_string()))?;
    }
    served
}

async fn govern(
    settings: Settings,
    listener: TcpListener,
    signals: StopSignals,
    with_demo: bool,
) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(|error| Failure::Failed(error.to_string()))?;
    let server =
        Server::new(settings, Arc::new(SystemClock)).map_err(|error| Failure::Failed(error.to_string()))?;
    let stop = CancellationToken::new();
    let app = server.app().clone();
    let mut ready = server.ready();
    let demo_stop = stop.clone();
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
                Ok(demo) => say(&demo.page(address)),
                Err(error) => tracing::error!(error = %error, "the demo could not be set up"),
            }
        };
        tokio::select! {
            () = presented => {}
            () = demo_stop.cancelled() => {}
        }
    });
    tracing::info!(listen = %address, "listening");
    let ended = signals.govern(stop.clone(), server.run(listener, stop.clone())).await;
    stop.cancel();
    let _ = presenting.await;
    match ended {
        Some(Ok(())) => {
            tracing::info!("stopped");
            Ok(())
        }
        Some(Err(error)) => Err(Failure::Failed(error.to_string())),
        None => Err(Failure::Failed("stopped without a drain".to_owned())),
    }
}
