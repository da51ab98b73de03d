//! One connection to PostgreSQL, direct or through a pooler: every query of the service runs on it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgQueryResult, PgRow, PgStatement, PgTypeInfo};
use sqlx::{
    ConnectOptions as _, Connection as _, Either, Execute, Executor, Postgres, Row as _, SqlStr, query,
    raw_sql,
};

use super::affects::Affects;
use super::audit_log::{self, Audit};
use super::citus;
use super::error::StoreError;
use super::event_log::{CollectedEvents, LogHead};
use super::pgbouncer::{self, UnnamedStatement};
use super::settings::{SETTINGS, STATEMENT_TIMEOUT, with_search_path};
use crate::domain::{Actor, AuditedChange, NewEvent, OrganizationId};
use crate::error::Error;

/// What stands between the service and PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pooler {
    /// Nothing that shares sessions of PostgreSQL among clients.
    #[default]
    None,
    /// PgBouncer or a similar pooler, in transaction mode (or session mode).
    Transaction,
}

/// A database and how to reach it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct DatabaseTarget {
    options: Arc<PgConnectOptions>,
    pooler: Pooler,
}

impl DatabaseTarget {
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
    fn from(target: &Self) -> Self {
        target.clone()
    }
}

#[derive(Debug)]
pub struct DbConnection {
    raw: PgConnection,
    pooler: Pooler,
    is_distributed: bool,
    in_transaction: bool,
    /// What the current work changes, as its caller declared it.
    pub(super) affects: Affects,
    /// Events of the transaction, which are written at its end.
    events: CollectedEvents,
    /// Changes of the transaction for the audit log, which are written at its end.
    audit: Audit,
    /// The heads of the logs to which events were committed since the connection was acquired.
    pub(super) committed: Vec<LogHead>,
}

impl DbConnection {
    /// # Errors
    /// The driver's.
    pub async fn open(target: &DatabaseTarget) -> sqlx::Result<Self> {
        let options = PgConnectOptions::clone(&target.options).application_name("inkbox-imessage");
        let options = match target.pooler {
            Pooler::None => with_search_path(options).options(SETTINGS),
            // The one parameter that sqlx sends at the start and PgBouncer refuses.
            Pooler::Transaction => options.extra_float_digits(None),
        };
        let mut raw = options.connect().await?;
        let is_distributed = match target.pooler {
            Pooler::None => citus::detect_for_session(&mut raw).await?,
            Pooler::Transaction => citus::detect(&mut raw).await?,
        };
        let pooler = target.pooler;
        Ok(Self {
            raw,
            pooler,
            is_distributed,
            in_transaction: false,
            affects: Affects::None,
            events: CollectedEvents::default(),
            audit: Audit::default(),
            committed: Vec::new(),
        })
    }

    /// Whether tables may be distributed: Citus is installed. For the few callers that `store::pool::citus` lists.
    pub(in crate::store) const fn is_distributed(&self) -> bool {
        self.is_distributed
    }

    /// Whether the settings of the start are still in force: a pooler that accepts them loses them.
    pub(super) async fn settings_intact(&mut self) -> sqlx::Result<bool> {
        if self.pooler == Pooler::Transaction {
            return Ok(true);
        }
        // Not prepared, since a pooler might lose a prepared statement as well.
        let row = raw_sql("SHOW statement_timeout").fetch_one(&mut self.raw).await?;
        Ok(row.try_get::<&str, _>(0)? == STATEMENT_TIMEOUT.1)
    }

    /// When the server was started. No two servers that a host name stands for have the same.
    pub(super) async fn server_started_at(&mut self) -> sqlx::Result<DateTime<Utc>> {
        let row =
            query!(r#"SELECT pg_postmaster_start_time() AS "started_at!""#).fetch_one(&mut *self).await?;
        Ok(row.started_at)
    }

    /// Closes the connection, and tells the server so.
    pub(super) async fn close(self) -> sqlx::Result<()> {
        self.raw.close().await
    }

    /// Declares that the work changes what this organization's lists and gets show, for work that began with
    /// [`Affects::named`].
    pub(in crate::store) fn mark_affected(&mut self, organization_id: &OrganizationId) {
        self.affects.add(organization_id);
    }

    /// Adds an event to the log of an organization: it is written as the last statement of the current transaction.
    ///
    /// # Errors
    /// `Internal` outside of a transaction.
    pub(in crate::store) fn log_event(
        &mut self,
        organization_id: &OrganizationId,
        event: NewEvent,
    ) -> Result<(), StoreError> {
        if !self.in_transaction {
            tracing::error!("an event was logged outside of a transaction");
            return Err(Error::Internal.into());
        }
        self.events.add(organization_id, event);
        Ok(())
    }

    pub(super) fn set_actor(&mut self, actor: Option<Arc<Actor>>) {
        self.audit = Audit { actor, changes: Vec::new() };
    }

    /// Adds a change to the audit log if an actor makes it: it is written at the end of the current transaction.
    ///
    /// # Errors
    /// `Internal` outside of a transaction.
    pub(in crate::store) fn audit(&mut self, change: AuditedChange) -> Result<(), StoreError> {
        if !self.in_transaction {
            tracing::error!("a change was audited outside of a transaction");
            return Err(Error::Internal.into());
        }
        if self.audit.actor.is_some() {
            self.audit.changes.push(change);
        }
        Ok(())
    }

    /// Writes the audit log and the events of the transaction. Events come last, since they lock the log of an
    /// organization.
    async fn write_logs(&mut self, changes: &[AuditedChange]) -> sqlx::Result<Vec<LogHead>> {
        let events = std::mem::take(&mut self.events);
        if let Some(actor) = self.audit.actor.clone()
            && !changes.is_empty()
        {
            audit_log::write(self, &actor, changes).await?;
        }
        events.write(self, self.is_distributed).await
    }

    /// Records that a statement of its own, outside of a transaction, has written events up to this number.
    pub(in crate::store) fn logged(&mut self, organization_id: &OrganizationId, last_sequence: i64) {
        self.committed.push(LogHead { organization_id: organization_id.clone(), last_sequence });
    }

    /// Begins a transaction. One that [`Self::end`] does not end is rolled back with the connection.
    pub(in crate::store) async fn begin(&mut self) -> sqlx::Result<()> {
        // First, since the caller may leave before the answer arrives.
        self.in_transaction = true;
        let begun = match self.pooler {
            Pooler::None => raw_sql("BEGIN").execute(&mut self.raw).await.map(drop),
            Pooler::Transaction => pgbouncer::begin(&mut self.raw, self.is_distributed).await,
        };
        self.in_transaction = begun.is_ok();
        begun
    }

    /// Commits the transaction if its work succeeded, with its events, or rolls it back. Awaited and not left to drop, since
    /// the session must be seen to have left the transaction.
    pub(in crate::store) async fn end<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        let changes = std::mem::take(&mut self.audit.changes);
        let (result, heads) = match result {
            Err(error) => {
                self.events = CollectedEvents::default();
                (Err(error), Vec::new())
            }
            Ok(done) => match self.write_logs(&changes).await {
                Ok(heads) => (Ok(done), heads),
                Err(error) => (Err(error.into()), Vec::new()),
            },
        };
        let statement = match &result {
            Ok(_) => "COMMIT",
            Err(error) if error.broke_connection() => return result,
            Err(_) => "ROLLBACK",
        };
        raw_sql(statement).execute(&mut self.raw).await?;
        self.in_transaction = false;
        self.committed.extend(heads);
        if result.is_ok()
            && let Some(actor) = &self.audit.actor
        {
            audit_log::log(actor, &changes);
        }
        result
    }

    /// Whether the connection can be used again once its abandoned statement has ended. In a transaction it cannot; behind
    /// a pooler each statement is part of one.
    pub(super) fn can_recover(&self) -> bool {
        self.pooler == Pooler::None && !self.in_transaction
    }

    /// Waits for the end of a statement whose caller has left: the driver reads the rest of its answer first.
    pub(super) async fn recover(&mut self) -> sqlx::Result<()> {
        self.raw.ping().await
    }

    pub(in crate::store) const fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }
}

impl<'c> Executor<'c> for &'c mut DbConnection {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match (self.pooler, self.in_transaction) {
            (Pooler::None, _) => self.raw.fetch_many(query),
            (Pooler::Transaction, true) => self.raw.fetch_many(UnnamedStatement(query)),
            (Pooler::Transaction, false) => {
                stream::once(pgbouncer::run_in_transaction(&mut self.raw, self.is_distributed, query))
                    .map_ok(|answer| stream::iter(answer.into_iter().map(Ok)))
                    .try_flatten()
                    .boxed()
            }
        }
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match (self.pooler, self.in_transaction) {
            (Pooler::None, _) => self.raw.fetch_optional(query),
            (Pooler::Transaction, true) => self.raw.fetch_optional(UnnamedStatement(query)),
            (Pooler::Transaction, false) => Box::pin(async move {
                let answer = pgbouncer::run_in_transaction(&mut self.raw, self.is_distributed, query).await?;
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
