//! What can be configured: every setting is a flag and an `INKBOX_…` variable.

mod lines;
mod retention;
mod telemetry;
mod transport;

pub use lines::LineArgs;
pub use retention::{Age, RetentionArgs};
pub use telemetry::{LogArgs, MetricsArgs};
pub use transport::{ProbeArgs, TransportArgs};

use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use clap::Args;
use sqlx::postgres::PgConnectOptions;

use crate::embedded;

/// Most connections to the embedded PostgreSQL, which serves this one process and the command line beside it.
const EMBEDDED_CONNECTIONS: u16 = 100;

/// How the URL of a PostgreSQL database begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// Where the database is.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// URL of the PostgreSQL database, such as `postgres://user:password@host/name`. Absent: a private PostgreSQL is
    /// started in the data folder.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL", global = true)]
    pub database_url: Option<String>,
    /// Folder of the private PostgreSQL [default: /var/lib/inkbox-imessage as root, else
    /// ~/.local/share/inkbox-imessage].
    #[arg(long, env = "INKBOX_DATA_DIR", value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,
}

impl DatabaseArgs {
    /// How to connect to the database that is configured; `None` for the embedded one.
    ///
    /// # Errors
    /// A URL that cannot be read, as one line without the URL, which may hold a password.
    pub fn external(&self) -> Result<Option<PgConnectOptions>, String> {
        let Some(url) = self.database_url.as_deref().filter(|url| !url.is_empty()) else { return Ok(None) };
        // sqlx takes any scheme, and would look for PostgreSQL there for ever.
        if !SCHEMES.iter().any(|scheme| url.starts_with(scheme)) {
            return Err(format!("DATABASE_URL does not begin with {}", SCHEMES[0]));
        }
        let options = PgConnectOptions::from_str(url);
        options.map(Some).map_err(|error| format!("DATABASE_URL: {error}"))
    }

    /// What the embedded PostgreSQL is to be like.
    #[must_use]
    pub fn embedded(&self) -> embedded::Options {
        embedded::Options {
            data_dir: self.data_dir.clone().unwrap_or_else(embedded::default_data_dir),
            durable: true,
            max_connections: EMBEDDED_CONNECTIONS,
        }
    }
}

/// Settings of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Apply migrations at start [default: true with the private PostgreSQL, else false].
    #[arg(long, env = "INKBOX_MIGRATE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub migrate: Option<bool>,
    /// Make a demo organization with keys that work until the next start, and print calls to paste.
    #[arg(long, env = "INKBOX_DEMO", num_args = 0..=1, default_missing_value = "true", default_value = "false",
          value_name = "BOOL")]
    pub demo: bool,
    /// Most connections to the database.
    #[arg(long, env = "INKBOX_DATABASE_SESSIONS", default_value = "16", value_name = "NUMBER",
          value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub database_sessions: u16,
    /// How long a line may take before it is given up on.
    #[arg(long, env = "INKBOX_LINE_TIMEOUT", default_value = "10s", value_name = "TIME", value_parser = duration)]
    pub line_timeout: Duration,
    /// Messages that one identity may send in any 24 hours; 0 = as many as it likes.
    #[arg(long, env = "INKBOX_SENDS_PER_DAY", default_value = "1000", value_name = "NUMBER")]
    pub sends_per_day: u32,
    /// How long what was said is kept.
    #[command(flatten)]
    pub retention: RetentionArgs,
    /// Listening, TLS, bounds and the drain.
    #[command(flatten)]
    pub transport: TransportArgs,
    /// Where the state is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
    /// The carriers.
    #[command(flatten)]
    pub lines: LineArgs,
    /// Metrics.
    #[command(flatten)]
    pub metrics: MetricsArgs,
}

/// The longest time that can be configured: longer is a typing error.
const LONGEST: Duration = Duration::from_hours(24);

/// Reads `10s`, `500ms`, `2m`, or a bare number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a time such as 10s, 500ms, 2m or 2.5 (seconds)");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        _ => return Err(bad()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| bad())?;
    let time = Duration::try_from_secs_f64(number * unit).map_err(|_| bad())?;
    if time > LONGEST { Err(format!("{text:?} is longer than a day")) } else { Ok(time) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn times_have_units_or_are_seconds() {
        for (text, millis) in [("10s", 10_000), ("500ms", 500), ("2m", 120_000), ("2", 2_000), ("0.25", 250)]
        {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "s", "-1s", "1h", "NaN", "inf", "1e9", "1 0s", "s10"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
