//! Transaction pooling, as PgBouncer does it: two statements that follow each other may run in two sessions of
//! PostgreSQL, so nothing may be left in a session, neither settings nor prepared statements. A prepared statement could
//! be missing where it is executed, or be another client's statement of the same name.
//!
//! Each statement therefore runs in a separate transaction, which starts with the settings and prepares the statement
//! without a name. This works with every release of PgBouncer and needs no configuration there, at four round trips
//! instead of one. Named prepared statements would need PgBouncer 1.21 with `max_prepared_statements`; Debian 12 ships
//! 1.18.

use std::sync::LazyLock;

use futures_util::TryStreamExt as _;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgConnection, PgQueryResult, PgRow, PgStatement};
use sqlx::{Either, Execute, Executor as _, Postgres, SqlStr, raw_sql};

use super::citus;
use super::settings::{SEARCH_PATH, SETTINGS};

/// Starts a transaction with the session settings. One message, so that the settings cost no round trip.
static BEGIN_WITH_SETTINGS: LazyLock<String> = LazyLock::new(|| {
    let settings = SETTINGS.map(|(name, value)| format!("; SET LOCAL {name} = '{value}'")).concat();
    // The search path is a list of names, and one name if it is quoted as a whole.
    let (search_path, schemas) = SEARCH_PATH;
    format!("BEGIN{settings}; SET LOCAL {search_path} = {schemas}")
});

pub(super) async fn begin(raw: &mut PgConnection, is_distributed: bool) -> sqlx::Result<()> {
    raw_sql(BEGIN_WITH_SETTINGS.as_str()).execute(&mut *raw).await?;
    if is_distributed {
        raw_sql(citus::PLAN_FOR_TRANSACTION).execute(raw).await?;
    }
    Ok(())
}

/// A query that is prepared without a name, and so leaves nothing in the session.
pub(super) struct UnnamedStatement<E>(pub(super) E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for UnnamedStatement<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}

/// Runs one statement in a separate transaction, and reads its rows to the end: there is at most a page of them.
pub(super) async fn run_in_transaction<'q, E: 'q + Execute<'q, Postgres>>(
    raw: &mut PgConnection,
    is_distributed: bool,
    query: E,
) -> sqlx::Result<Vec<Either<PgQueryResult, PgRow>>> {
    begin(raw, is_distributed).await?;
    let rows = (&mut *raw).fetch_many(UnnamedStatement(query)).try_collect().await;
    let end = match &rows {
        Ok(_) => "COMMIT",
        Err(sqlx::Error::Database(_)) => "ROLLBACK",
        // After any other error the connection is not used again.
        Err(_) => return rows,
    };
    raw_sql(end).execute(raw).await?;
    rows
}
