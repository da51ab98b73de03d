//! The settings of every session of the service.

use sqlx::postgres::PgConnectOptions;

/// Where tables are looked up: PostgreSQL's own default. It is set because a database or a role may have another one, with
/// which no table would be found.
pub(super) const SEARCH_PATH: (&str, &str) = ("search_path", r#""$user", public"#);

pub(super) const STATEMENT_TIMEOUT: (&str, &str) = ("statement_timeout", "5s");

/// - Timeouts: the server's limits for what the service's own limits cannot reach, such as a statement whose caller is
///   gone or a transaction whose process is.
/// - The check of the client's connection: the server ends a statement soon after the process that asked is gone.
/// - Generic plans, which `tests/integration/store/plans` verifies. Custom plans switch to a scan and a sort if the
///   planner expects fewer rows than the page size.
/// - No parallel workers: starting them takes longer than any statement here (a page of messages took 60 ms instead of
///   2).
pub(super) const SETTINGS: [(&str, &str); 6] = [
    STATEMENT_TIMEOUT,
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("client_connection_check_interval", "500ms"),
    ("plan_cache_mode", "force_generic_plan"),
    ("max_parallel_workers_per_gather", "0"),
];

/// Sets [`SEARCH_PATH`], unless the database URL has one (`options=-csearch_path=…`): then the tables are meant to be there.
pub(super) fn with_search_path(options: PgConnectOptions) -> PgConnectOptions {
    let is_given = options.get_options().is_some_and(|given| given.contains(SEARCH_PATH.0));
    if is_given { options } else { options.options([SEARCH_PATH]) }
}
