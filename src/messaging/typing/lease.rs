//! A typing indicator that is renewed for a duration.
//!
//! A lease is a task of the process that accepted the call; nothing is stored. It ends by itself when the duration has
//! passed, and when a renewal fails. Each renewal is a call of its own: it waits for its turn in the queue of the
//! conversation and repeats the checks of visibility and of the rules. A block, an opt-out, a release, and an identity that
//! is disabled or deleted therefore end the lease on every replica. So does a message that another process sent: the number
//! of messages sent is compared. A message of this process, `StopTypingIndicator` and a drain end it at once.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{check, perform};
use crate::admission::{Consumer, scope};
use crate::app::App;
use crate::carriers::{Action, BegunLease, Carrier, TypingTurn};
use crate::domain::{ConnectionId, ConversationId, Tenant};
use crate::error::Result;
use crate::store::conversations::ContactTarget;

pub(super) struct Lease {
    app: App,
    tenant: Tenant,
    id: ConversationId,
    begun: BegunLease,
    connection_id: ConnectionId,
    /// The number of messages sent when the lease began.
    sent_count: i32,
    /// Time between two renewals.
    interval: Duration,
    until: Instant,
}

enum Renewed {
    /// The indicator is shown, or another call of the conversation shows it.
    Shown,
    Ended,
}

impl Lease {
    /// Begins to renew an indicator that was shown just now. The caller holds the turn of the conversation.
    ///
    /// # Errors
    /// `Overloaded`.
    pub(super) fn start(
        app: &App,
        tenant: &Tenant,
        target: &ContactTarget,
        carrier: &dyn Carrier,
        duration: Duration,
    ) -> Result<()> {
        let id = target.conversation_id;
        let lease = Self {
            begun: app.typing.begin(&tenant.organization_id, id)?,
            app: app.clone(),
            tenant: tenant.clone(),
            id,
            connection_id: target.eligibility.connection_id,
            sent_count: target.sent_count,
            interval: app.typing.interval(carrier),
            until: Instant::now() + duration,
        };
        let consumer = Consumer::Organization(tenant.organization_id.clone());
        // Not the permit of the call, which ends now.
        app.tasks.spawn(scope(consumer, None, async move { lease.run().await }));
        Ok(())
    }

    async fn run(&self) {
        loop {
            let next = (Instant::now() + self.interval).min(self.until);
            tokio::select! {
                () = sleep_until(next) => {}
                () = self.begun.stop.cancelled() => return,
            }
            match self.renew().await {
                Ok(Renewed::Shown) => {}
                Ok(Renewed::Ended) => return,
                Err(error) => {
                    tracing::debug!(error = %error, "a typing indicator is not renewed any more");
                    return;
                }
            }
        }
    }

    /// Shows the indicator again, or ends it if the duration has passed.
    async fn renew(&self) -> Result<Renewed> {
        let turn = tokio::select! {
            turn = self.app.queues.enter_typing(&self.tenant.organization_id, self.id) => turn,
            () = self.begun.stop.cancelled() => return Ok(Renewed::Ended),
        };
        let has_passed = Instant::now() >= self.until;
        let Ok(Some(turn)) = turn else {
            // A message waits, which ends the lease, or other calls show the indicator.
            return Ok(if has_passed { Renewed::Ended } else { Renewed::Shown });
        };
        // The lease may have ended while it waited. From here it is completed, so that nothing overtakes its request.
        if self.begun.stop.is_cancelled() {
            return Ok(Renewed::Ended);
        }
        let renewed = self.renew_in_turn(&turn, has_passed).await;
        if !matches!(renewed, Ok(Renewed::Shown)) {
            // Still in its turn: a call that waits for the next one begins a lease of its own.
            self.finish();
        }
        drop(turn);
        renewed
    }

    async fn renew_in_turn(&self, turn: &TypingTurn, has_passed: bool) -> Result<Renewed> {
        let target = check(&self.app, &self.tenant, self.id).await?;
        let has_changed =
            target.eligibility.connection_id != self.connection_id || target.sent_count != self.sent_count;
        if has_changed {
            return Ok(Renewed::Ended);
        }
        let carrier = self.app.carriers.for_line(&target.line_number).await?;
        let action = if has_passed { Action::TypingStop } else { Action::Typing };
        if !carrier.supports(action) {
            return Ok(Renewed::Ended);
        }
        self.app.actions.count(target.identity_id)?;
        let is_performed = perform(&*carrier, &self.tenant, &target, action, turn).await?;
        Ok(if is_performed && !has_passed { Renewed::Shown } else { Renewed::Ended })
    }

    fn finish(&self) {
        self.app.typing.finish(&self.tenant.organization_id, self.id, &self.begun);
    }
}

/// For the ends outside of a turn, and a panic.
impl Drop for Lease {
    fn drop(&mut self) {
        self.finish();
    }
}
