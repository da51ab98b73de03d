//! Lists and gets: from the standby where one is configured and good enough, else from the primary.

use std::time::Duration;

use tokio::time::Instant;

use super::affects::Affects;
use super::database::{Database, OPERATION_LIMIT};
use super::failure::StoreError;
use super::link::DbConnection;
use super::session::{Session, traced};
use crate::domain::OrganizationId;

/// How long the standby may take, connection included, before the primary is asked instead: both fit into the
/// operation limit.
const STANDBY_LIMIT: Duration = Duration::from_secs(1);

/// Sessions lent to one list or get. What it runs changes nothing, and is run a second time on the primary when the
/// standby fails.
pub struct ReadSession {
    db: Database,
    deadline: Instant,
    standby: Option<Session>,
    primary: Option<Session>,
}

impl Database {
    /// Lends what a list or get of an organization needs. Not for what decides anything: that is read on the primary,
    /// with [`Self::acquire`].
    ///
    /// # Errors
    /// See [`Self::acquire`].
    pub async fn read(&self, organization_id: &OrganizationId) -> Result<ReadSession, StoreError> {
        let deadline = Instant::now() + OPERATION_LIMIT;
        let standby = self.standby_session(organization_id).await;
        let mut reading = ReadSession { db: self.clone(), deadline, standby, primary: None };
        if reading.standby.is_none() {
            reading.turn_to_primary().await?;
        }
        Ok(reading)
    }

    /// A session on the standby, where that shows all that this organization must see.
    async fn standby_session(&self, organization_id: &OrganizationId) -> Option<Session> {
        let (standby, pool) = self.standby.as_ref()?;
        if !standby.may_show(organization_id) {
            return None;
        }
        let deadline = Instant::now() + STANDBY_LIMIT;
        let lent = Session::lend(pool, deadline, Affects::None, None).await;
        lent.inspect_err(|failure| standby.distrust(failure)).ok()
    }
}

impl ReadSession {
    /// Reads a page.
    ///
    /// # Errors
    /// See [`Session::run`].
    pub async fn run<'s, T, F>(
        &'s mut self,
        span: &'static str,
        work: impl Fn(&'s mut DbConnection) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        traced(span, self.settle(work, |_| true)).await
    }

    /// Reads one thing. What the standby does not have is looked for on the primary: it may have been made a moment
    /// ago through another process, whose answer its caller has.
    ///
    /// # Errors
    /// See [`Session::run`].
    pub async fn find<'s, T, F>(
        &'s mut self,
        span: &'static str,
        work: impl Fn(&'s mut DbConnection) -> F,
    ) -> Result<Option<T>, StoreError>
    where
        F: Future<Output = Result<Option<T>, StoreError>>,
    {
        traced(span, self.settle(work, Option::is_some)).await
    }

    async fn settle<'s, T, F>(
        &'s mut self,
        work: impl Fn(&'s mut DbConnection) -> F,
        suffices: impl Fn(&T) -> bool,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let Self { db, deadline, standby, primary } = self;
        if let Some(session) = standby {
            match session.attempt(&work).await {
                Ok(answer) if suffices(&answer) => return Ok(answer),
                Ok(_) => {}
                Err(failure @ (StoreError::Refused(_) | StoreError::Corrupt { .. })) => return Err(failure),
                Err(failure) => db.standby_failed(&failure),
            }
        }
        if primary.is_none() {
            *primary = Some(db.lend(*deadline, Affects::None).await?);
        }
        let Some(session) = primary else { return Err(StoreError::Unavailable("no session")) };
        session.attempt(&work).await
    }

    async fn turn_to_primary(&mut self) -> Result<(), StoreError> {
        self.primary = Some(self.db.lend(self.deadline, Affects::None).await?);
        Ok(())
    }
}
