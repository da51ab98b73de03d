//! Lists and gets: from the replica if it can serve them, else from the primary.

use tokio::time::Instant;

use super::pool::ReplicaPool;
use crate::domain::OrganizationId;
use crate::store::pool::affects::Affects;
use crate::store::pool::connection::DbConnection;
use crate::store::pool::error::StoreError;
use crate::store::pool::primary::{OPERATION_LIMIT, Primary};
use crate::store::pool::session::{Session, traced};

/// A session for one list or get. Its work changes nothing, since it is run again: on the primary if the replica fails, and
/// once on another connection if that of the primary breaks.
pub struct ReadSession {
    on_primary: Primary,
    deadline: Instant,
    replica: Option<(ReplicaPool, Session)>,
    primary: Option<Session>,
    /// In place of `primary` after its connection broke.
    replaced: Option<Session>,
}

impl ReadSession {
    pub(in crate::store::pool) async fn acquire(
        primary: &Primary,
        replica: Option<&ReplicaPool>,
        organization_id: &OrganizationId,
    ) -> Result<Self, StoreError> {
        let deadline = Instant::now() + OPERATION_LIMIT;
        let replica = match replica {
            Some(pool) => pool.acquire(organization_id).await.map(|session| (pool.clone(), session)),
            None => None,
        };
        let session = match replica {
            Some(_) => None,
            None => Some(primary.acquire(deadline, Affects::None).await?),
        };
        Ok(Self { on_primary: primary.clone(), deadline, replica, primary: session, replaced: None })
    }

    /// Reads a page, in a span of this name.
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
        traced(span, self.run_with_fallback(work, |_| true)).await
    }

    /// Reads one thing, in a span of this name. What the replica does not have is looked for on the primary: another
    /// process may have created it a moment ago and told its caller.
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
        traced(span, self.run_with_fallback(work, Option::is_some)).await
    }

    /// Takes the replica's answer if it is sufficient.
    pub(in crate::store::pool) async fn run_with_fallback<'s, T, F>(
        &'s mut self,
        work: impl Fn(&'s mut DbConnection) -> F,
        is_sufficient: impl Fn(&T) -> bool,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        if let Some((pool, session)) = &mut self.replica {
            match session.run_untraced(&work).await {
                Ok(answer) if is_sufficient(&answer) => return Ok(answer),
                Ok(_) => {}
                Err(error @ (StoreError::Refused(_) | StoreError::Corrupt { .. })) => return Err(error),
                Err(error) => pool.failed(&error),
            }
        }
        let session = match self.primary.take() {
            Some(session) => session,
            None => self.on_primary.acquire(self.deadline, Affects::None).await?,
        };
        let replacement = session.replacement();
        match (self.primary.insert(session).run_untraced(&work).await, replacement) {
            (Err(error), Some(replacement)) if error.broke_connection() => {
                let session = Session::replace(replacement, self.deadline).await?;
                self.replaced.insert(session).run_untraced(&work).await
            }
            (answer, _) => answer,
        }
    }
}
