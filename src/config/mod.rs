//! What can be configured: every setting is a flag and an `INKBOX_…` variable.

mod carriers;
mod database;
mod retention;
mod server;
mod telemetry;
mod webhooks;

pub use carriers::CarrierArgs;
pub use database::{DatabaseArgs, PoolArgs};
pub use retention::{Age, RetentionArgs};
pub use server::{ProbeArgs, TransportArgs};
pub use telemetry::{LogArgs, MetricsArgs};
pub use webhooks::WebhookArgs;

use std::time::Duration;

use clap::Args;

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
    /// What carriers deliver.
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    /// Where the state is.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// How it is read and written.
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
    /// Metrics.
    #[command(flatten)]
    pub metrics: MetricsArgs,
    /// The carriers.
    #[command(flatten)]
    pub lines: CarrierArgs,
}

/// The longest time that can be configured: longer is a typing error.
const LONGEST: Duration = Duration::from_hours(24);

/// Reads `10s`, `500ms`, `2m`, or a bare number of seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let bad = || format!("{text:?} is not a duration such as 10s, 500ms, 2m or 2.5 (seconds)");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        _ => return Err(bad()),
    };
    let number: f64 = digits.trim().parse().map_err(|_| bad())?;
    let time = Duration::try_from_secs_f64(number * unit).map_err(|_| bad())?;
    if time > LONGEST { Err(format!("{text:?} is longer than 24 hours")) } else { Ok(time) }
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
