//! Finding Citus on a connection, and the plan mode that it needs.

use sqlx::postgres::PgConnection;
use sqlx::{Executor, Postgres, query_scalar, raw_sql};

/// Allows custom plans for one transaction.
pub(in crate::store::pool) const PLAN_FOR_TRANSACTION: &str = "SET LOCAL plan_cache_mode = 'auto'";
const DETECT: &str = "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus'";
const DETECT_FOR_SESSION: &str = "SELECT set_config('plan_cache_mode', 'auto', false)
    FROM pg_catalog.pg_extension WHERE extname = 'citus'";

/// Whether the extension is installed; changes nothing in the session, as a pooler requires.
pub(in crate::store::pool) async fn detect(raw: &mut PgConnection) -> sqlx::Result<bool> {
    Ok(raw_sql(DETECT).fetch_optional(raw).await?.is_some())
}

/// Whether the extension is installed. If so, the session uses custom plans from then on.
pub(in crate::store::pool) async fn detect_for_session(raw: &mut PgConnection) -> sqlx::Result<bool> {
    Ok(raw_sql(DETECT_FOR_SESSION).fetch_optional(raw).await?.is_some())
}

/// The same as [`detect`], on any connection of the driver.
pub(in crate::store::pool) async fn has_citus<C>(connection: &mut C) -> sqlx::Result<bool>
where
    for<'e> &'e mut C: Executor<'e, Database = Postgres>,
{
    query_scalar("SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus')")
        .fetch_one(&mut *connection)
        .await
}
