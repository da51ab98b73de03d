//! One connection to PostgreSQL, straight or through a pooler: what every query of the service runs on.
//!
//! Behind a pooler in transaction mode, two statements that follow each other may run on two sessions of PostgreSQL.
//! So nothing may be left in a session there: no settings of the start, and no prepared statements, of which one would
//! be missing where it is asked for, or be another client's of the same name. Each statement then runs in a transaction
//! of its own, which begins with the settings and prepares without a name. Sound with every release of PgBouncer and
//! nothing to set there, at four round trips instead of one.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::error::BoxDynError;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{
    ConnectOptions as _, Connection as _, Either, Execute, Executor, Postgres, Row as _, SqlStr, raw_sql,
};

use super::affects::Affects;
use super::failure::StoreError;
use crate::domain::OrganizationId;

/// What stands between the service and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Pooler {
    /// Nothing that shares sessions of PostgreSQL between clients.
    #[default]
    None,
    /// PgBouncer or its like, in transaction mode (or session mode).
    Transaction,
}

/// A database, and the way to it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DatabaseTarget {
    options: Arc<PgConnectOptions>,
    pub(super) pooler: Pooler,
}

impl DatabaseTarget {
    /// A database behind a pooler, or not.
    #[must_use]
    pub fn new(options: PgConnectOptions, pooler: Pooler) -> Self {
        Self { options: Arc::new(options), pooler }
    }
}

/// A database without a pooler.
impl From<&PgConnectOptions> for DatabaseTarget {
    fn from(options: &PgConnectOptions) -> Self {
        Self::new(options.clone(), Pooler::None)
    }
}

impl From<&Self> for DatabaseTarget {
    fn from(endpoint: &Self) -> Self {
        endpoint.clone()
    }
}

/// The server's own limits, for what ours cannot reach: a statement whose caller is gone, a transaction whose
/// process is. And one plan a statement for all parameters, the one that tests/store/plans looks at: planned for given
/// ones, a list that is expected to be shorter than its page is read to its end and sorted. And no parallel workers:
/// starting them takes longer than any statement here (a page of messages took 60 ms instead of 2).
const LIMITS: [(&str, &str); 5] = [
    (STATEMENT_TIMEOUT.0, STATEMENT_TIMEOUT.1),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("max_parallel_workers_per_gather", "0"),
];
const STATEMENT_TIMEOUT: (&str, &str) = ("statement_timeout", "5s");
/// The exception where tables are distributed: Citus has no plan for all parameters, since they say which node is asked.
const PLAN_BY_PARAMETERS: &str = "SET LOCAL plan_cache_mode = 'auto'";
/// Finds Citus, and sets the same for the session.
const FIND_CITUS: &str = "SELECT set_config('plan_cache_mode', 'auto', false) FROM pg_catalog.pg_extension WHERE extname = 'citus'";
/// Finds it behind a pooler, where nothing may be set.
const FIND_CITUS_ALONE: &str = "SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus'";
/// The same, for one transaction. In one message, so that they cost no round trip.
const BEGIN_WITH_LIMITS: &str = "BEGIN; \
    SET LOCAL statement_timeout = '5s'; \
    SET LOCAL lock_timeout = '2s'; \
    SET LOCAL idle_in_transaction_session_timeout = '10s'; \
    SET LOCAL plan_cache_mode = 'force_generic_plan'; \
    SET LOCAL max_parallel_workers_per_gather = '0'";

/// How transactions begin, and statements are prepared.
#[derive(Debug, Clone, Copy)]
struct Way {
    pooler: Pooler,
    is_distributed: bool,
}

/// A connection.
#[derive(Debug)]
pub struct DbConnection {
    raw: PgConnection,
    way: Way,
    in_transaction: bool,
    /// What the work changes of what lists and gets show.
    pub(super) affects: Affects,
}

impl DbConnection {
    /// Opens a connection.
    ///
    /// # Errors
    /// The driver's.
    pub async fn open(endpoint: &DatabaseTarget) -> sqlx::Result<Self> {
        let options = PgConnectOptions::clone(&endpoint.options).application_name("inkbox-imessage");
        let options = match endpoint.pooler {
            Pooler::None => options.options(LIMITS),
            // The one thing that sqlx says at the start which PgBouncer does not take.
            Pooler::Transaction => options.extra_float_digits(None),
        };
        let mut raw = options.connect().await?;
        let find = if endpoint.pooler == Pooler::None { FIND_CITUS } else { FIND_CITUS_ALONE };
        let is_distributed = raw_sql(find).fetch_optional(&mut raw).await?.is_some();
        let way = Way { pooler: endpoint.pooler, is_distributed };
        Ok(Self { raw, way, in_transaction: false, affects: Affects::None })
    }

    /// Whether tables may be distributed: Citus is there. It refuses to change two tables in one statement, so that what
    /// is one statement elsewhere is two in a transaction.
    pub(super) const fn is_distributed(&self) -> bool {
        self.way.is_distributed
    }

    /// Whether what was set at the start is still so: a pooler that lets it pass forgets it.
    pub(super) async fn settings_intact(&mut self) -> sqlx::Result<bool> {
        if self.way.pooler == Pooler::Transaction {
            return Ok(true);
        }
        // Without a prepared statement, which a pooler might not keep either.
        let row = raw_sql("SHOW statement_timeout").fetch_one(&mut self.raw).await?;
        Ok(row.try_get::<&str, _>(0)? == STATEMENT_TIMEOUT.1)
    }

    /// Says goodbye to the server.
    pub(super) async fn close(self) -> sqlx::Result<()> {
        self.raw.close().await
    }

    /// Notes that the work changes what this organization's lists and gets show; for work that learns only on its way
    /// whose rows it changes (see `Affects::named`).
    pub(super) fn mark_affected(&mut self, organization_id: &OrganizationId) {
        self.affects.add(organization_id);
    }

    /// Begins a transaction. One that is not ended by [`Self::end`] ends with the connection.
    pub(super) async fn begin(&mut self) -> sqlx::Result<()> {
        begin(&mut self.raw, self.way).await?;
        self.in_transaction = true;
        Ok(())
    }

    /// Ends the transaction as its work has ended: commits what was done, takes back what failed. Awaited, not left to
    /// drop: the session must be seen to be out of the transaction.
    pub(super) async fn end<T>(&mut self, worked: Result<T, StoreError>) -> Result<T, StoreError> {
        self.in_transaction = false;
        match &worked {
            Ok(_) => end(&mut self.raw, "COMMIT").await?,
            Err(failure) if failure.broke_connection() => {}
            Err(_) => end(&mut self.raw, "ROLLBACK").await?,
        }
        worked
    }
}

async fn begin(raw: &mut PgConnection, way: Way) -> sqlx::Result<()> {
    let statement = match way {
        Way { pooler: Pooler::None, .. } => "BEGIN",
        Way { is_distributed: false, .. } => BEGIN_WITH_LIMITS,
        Way { is_distributed: true, .. } => {
            raw_sql(BEGIN_WITH_LIMITS).execute(&mut *raw).await?;
            PLAN_BY_PARAMETERS
        }
    };
    raw_sql(statement).execute(raw).await.map(drop)
}

async fn end(raw: &mut PgConnection, statement: &'static str) -> sqlx::Result<()> {
    raw_sql(statement).execute(raw).await.map(drop)
}

/// A query that is prepared without a name, and so leaves nothing in the session.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
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

/// Runs one statement in a transaction of its own, to the end: what it answers is at most a page.
async fn alone<'q, E: 'q + Execute<'q, Postgres>>(
    raw: &mut PgConnection,
    way: Way,
    query: E,
) -> sqlx::Result<Vec<Either<PgQueryResult, PgRow>>> {
    begin(raw, way).await?;
    let answer = (&mut *raw).fetch_many(Unnamed(query)).try_collect().await;
    match &answer {
        Ok(_) => end(raw, "COMMIT").await?,
        // What the server refused is over once it was rolled back; after anything else the connection is not used again.
        Err(sqlx::Error::Database(_)) => end(raw, "ROLLBACK").await?,
        Err(_) => {}
    }
    answer
}

impl<'c> Executor<'c> for &'c mut DbConnection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match (self.way.pooler, self.in_transaction) {
            (Pooler::None, _) => self.raw.fetch_many(query),
            (Pooler::Transaction, true) => self.raw.fetch_many(Unnamed(query)),
            (Pooler::Transaction, false) => stream::once(alone(&mut self.raw, self.way, query))
                .map_ok(|answer| stream::iter(answer.into_iter().map(Ok)))
                .try_flatten()
                .boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match (self.way.pooler, self.in_transaction) {
            (Pooler::None, _) => self.raw.fetch_optional(query),
            (Pooler::Transaction, true) => self.raw.fetch_optional(Unnamed(query)),
            (Pooler::Transaction, false) => Box::pin(async move {
                let answer = alone(&mut self.raw, self.way, query).await?;
                Ok(answer.into_iter().find_map(Either::right))
            }),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'c: 'e,
    {
        self.raw.prepare_with(sql, parameters)
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<sqlx::Describe<Postgres>>>
    where
        'c: 'e,
    {
        self.raw.describe(sql)
    }
}

#[cfg(test)]
mod tests {
    use super::{BEGIN_WITH_LIMITS, LIMITS};

    #[test]
    fn a_transaction_behind_a_pooler_has_the_limits_of_a_session() {
        let settings = LIMITS.map(|(name, value)| format!("SET LOCAL {name} = '{value}'")).join("; ");
        assert_eq!(BEGIN_WITH_LIMITS, format!("BEGIN; {settings}"));
    }
}
