//! The settings that the composition root is given. `config` fills them from flags and environment variables.

use std::num::NonZeroU32;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use super::shutdown::DrainLimits;
use crate::admission::AdmissionLimits;
use crate::carriers::CarrierSettings;
use crate::grpc::middleware::limits::CallLimits;
use crate::maintenance::cleanup::Retention;
use crate::net::ConnectionLimits;
use crate::net::tls::Tls;
use crate::store::{Pooler, ReplicaSettings};

/// Settings of the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address of the database.
    pub database: PgConnectOptions,
    /// The pooler in front of it.
    pub pooler: Pooler,
    /// A replica for lists and gets.
    pub standby: Option<ReplicaSettings>,
    /// Maximum number of pooled connections; the monitor has one more.
    pub sessions: usize,
    /// Whether to apply migrations at start.
    pub migrate: bool,
    /// How long a call to a carrier may take.
    pub line_time_out: Duration,
    /// The carriers besides the sandbox.
    pub lines: CarrierSettings,
    /// Messages that an identity may send in 24 hours; `None` = no limit.
    pub sends_per_day: Option<u32>,
    /// Actions on phones of an identity in a minute; `None` = no limit.
    pub actions_per_minute: Option<NonZeroU32>,
    /// Time between two renewals of a typing indicator; `None` = as the carrier requires.
    pub typing_renewal: Option<Duration>,
    /// How long messages and released connections are kept.
    pub retention: Retention,
    /// How far the machine's clock may be from the database's before cleanup stops.
    pub max_clock_skew: Duration,
    /// Limits of all calls together, and the share of each organization.
    pub admission: AdmissionLimits,
    /// Limits of each call.
    pub calls: CallLimits,
    /// Limits of connections.
    pub connections: ConnectionLimits,
    /// TLS on TCP listeners; `None` = plaintext.
    pub tls: Option<Tls>,
    /// Durations of the steps of a drain.
    pub drain: DrainLimits,
}
