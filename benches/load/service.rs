//! The program under test: the release build with default settings.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::Result;

const PROGRAM: &str = env!("CARGO_BIN_EXE_inkbox-imessage");
/// Maximum time from the start to the first healthy response.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running service. Dropping it kills the process.
pub struct Service {
    child: Child,
    pub address: String,
    /// Address of the metrics.
    pub metrics: String,
}

impl Service {
    /// Starts the service on a database and waits until it is healthy.
    pub async fn start(database_url: &str, log: &std::path::Path) -> Result<Self> {
        let (address, metrics) = (free_address().await?, free_address().await?);
        let mut command = Command::new(PROGRAM);
        command
            .arg("serve")
            .env("INKBOX_LISTEN", &address)
            .env("INKBOX_METRICS_LISTEN", &metrics)
            // The scenarios send no messages; a soak sends more than the default limit.
            .env("INKBOX_SENDS_PER_DAY", "0")
            .env("INKBOX_ACTIONS_PER_MINUTE", "0")
            // The last places are for organizations that have few.
            .env("INKBOX_STREAMS", "20000")
            // A file, since a terminal would be the slowest part.
            .stderr(std::fs::File::create(log)?);
        Self::launch(command, database_url, address, metrics).await
    }

    /// Starts the baseline server of `bare`, in another process of this program.
    pub async fn start_bare(database_url: &str) -> Result<Self> {
        let address = free_address().await?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["--bare", &address]);
        Self::launch(command, database_url, address, String::new()).await
    }

    async fn launch(
        mut command: Command,
        database_url: &str,
        address: String,
        metrics: String,
    ) -> Result<Self> {
        let child =
            command.env("DATABASE_URL", database_url).stdout(Stdio::null()).kill_on_drop(true).spawn()?;
        let service = Self { child, address, metrics };
        let answers = async {
            while !run(&["health"], &[("INKBOX_LISTEN", &service.address)]).await?.status.success() {
                sleep(Duration::from_millis(50)).await;
            }
            Ok::<_, crate::Failure>(())
        };
        tokio::time::timeout(START_TIMEOUT, answers).await.map_err(|_| "the service does not start")??;
        Ok(service)
    }

    pub fn pid(&self) -> Result<u32> {
        Ok(self.child.id().ok_or("the service has ended")?)
    }
}

/// Runs a command of the program and returns its standard output.
pub async fn command(args: &[&str], database_url: &str) -> Result<String> {
    let output = run(args, &[("DATABASE_URL", database_url)]).await?;
    if !output.status.success() {
        return Err(format!("{args:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

async fn run(args: &[&str], environment: &[(&str, &str)]) -> Result<std::process::Output> {
    Ok(Command::new(PROGRAM).args(args).envs(environment.iter().copied()).output().await?)
}

pub async fn free_address() -> Result<String> {
    Ok(tokio::net::TcpListener::bind("127.0.0.1:0").await?.local_addr()?.to_string())
}
