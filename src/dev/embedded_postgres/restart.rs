//! Restarts the server when it ends unexpectedly.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{Error, Options, Server};

/// Maximum number of restarts within [`WINDOW`]. A server that ends more often has a cause that a restart does not mend.
const MAX_RESTARTS: usize = 5;
const WINDOW: Duration = Duration::from_mins(10);
/// Pause before the first restart; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// Keeps the server running until `stop` is cancelled, and returns it; `None` if it was not running at that moment.
///
/// # Errors
/// The server ends too often, or cannot be started again.
pub async fn keep_running(
    mut server: Server,
    options: Options,
    stop: CancellationToken,
) -> Result<Option<Server>, Error> {
    let mut restarts: Vec<Instant> = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(Some(server)),
            () = server.wait_exit() => {}
        }
        // Gives the lock of the data folder back.
        drop(server);
        server = loop {
            restarts.retain(|at| at.elapsed() < WINDOW);
            let pause = FIRST_PAUSE * 2_u32.pow(u32::try_from(restarts.len()).unwrap_or(u32::MAX).min(8));
            tokio::select! {
                () = stop.cancelled() => return Ok(None),
                () = sleep(pause) => {}
            }
            restarts.push(Instant::now());
            match Server::start(options.clone()).await {
                Ok(server) => break server,
                Err(error) if restarts.len() >= MAX_RESTARTS => {
                    tracing::error!(error = %error, "private PostgreSQL server cannot be restarted");
                    return Err(error);
                }
                Err(error) => tracing::warn!(error = %error, "private PostgreSQL server did not start"),
            }
        };
        tracing::warn!(restarts = restarts.len(), "private PostgreSQL server was restarted");
        if restarts.len() > MAX_RESTARTS {
            let failure = server.folder.failed("postgres", "ends again and again");
            server.stop().await?;
            return Err(failure);
        }
    }
}
