//! Settings. Each one is a flag and an `INKBOX_…` variable.
//!
//! This module imports the modules that it configures, never the other way round: each group of settings converts itself
//! into the settings type of its module.

mod carriers;
mod database;
mod files;
mod old_variables;
mod parse;
mod probe;
mod requested;
mod retention;
mod server;
mod telemetry;
mod unknown_variables;
mod webhooks;

pub use carriers::{CarrierArgs, is_carrier_configured};
pub use database::{DatabaseArgs, PoolArgs};
pub use files::FileSettings;
pub use old_variables::{accept_old_variables, old_variables};
pub use probe::ProbeArgs;
pub use retention::{Age, RetentionArgs};
pub use server::{AdmissionArgs, CallArgs, ConnectionArgs, DrainArgs, ServerArgs, TlsArgs};
pub use telemetry::{LogArgs, MetricsArgs, requested_log_format};
pub use unknown_variables::unknown_variables;
pub use webhooks::WebhookArgs;

use std::time::Duration;

use clap::Args;

use self::parse::duration;

/// Settings of `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Apply migrations at start [default: true with the private PostgreSQL, else false].
    #[arg(long, env = "INKBOX_MIGRATE", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub migrate: Option<bool>,
    /// Create a demo organization with keys that are valid until the next start, and print example calls.
    #[arg(long, env = "INKBOX_DEMO", num_args = 0..=1, default_missing_value = "true", default_value = "false",
          value_name = "BOOL")]
    pub demo: bool,
    /// Timeout of a call to a carrier.
    #[arg(long, alias = "line-timeout", env = "INKBOX_CARRIER_TIMEOUT", default_value = "10s", value_name = "TIME",
          value_parser = duration)]
    pub carrier_timeout: Duration,
    /// Maximum number of messages that one identity may send in any 24 hours, up to 10000; 0 = unlimited.
    // Each send counts those of the last 24 hours while other sends of the identity wait: 2 ms at most with this bound.
    // Apple and the carriers close accounts that send a tenth of it.
    #[arg(long, env = "INKBOX_SENDS_PER_DAY", default_value = "1000", value_name = "NUMBER",
          value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub sends_per_day: u32,
    /// Maximum number of actions on phones by one identity in a minute: messages, tapbacks, typing and read receipts.
    /// 10 seconds' worth, and at least 10, may happen at once; 0 = unlimited.
    #[arg(long, env = "INKBOX_ACTIONS_PER_MINUTE", default_value = "600", value_name = "NUMBER")]
    pub actions_per_minute: u32,
    #[command(flatten)]
    pub retention: RetentionArgs,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub webhooks: WebhookArgs,
    #[command(flatten)]
    pub database: DatabaseArgs,
    #[command(flatten)]
    pub pool: PoolArgs,
    #[command(flatten)]
    pub log: LogArgs,
    #[command(flatten)]
    pub metrics: MetricsArgs,
    #[command(flatten)]
    pub lines: CarrierArgs,
}
