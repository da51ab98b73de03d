//! Sends the replies of the router line to commands that came by webhooks.
//!
//! A reply is stored with its command and sent from storage, so that the webhook need not wait for it, and a crash or an
//! outage in between loses none. A process is woken by its own commands; it also looks for replies that other processes
//! left over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::carriers::{Action, CarrierError, OutboundMessage};
use crate::domain::Thread;
use crate::error::{Error, Result};
use crate::messaging::outbound::max_send_duration;
use crate::store::router_commands::{self, DueReply};

/// Time between two looks for replies that were left over.
const INTERVAL: Duration = Duration::from_secs(15);
/// Maximum number of replies that one process sends at a time: a slow carrier holds up no more than these.
const MAX_CONCURRENT: usize = 32;
/// Pause before a reply is tried again that the carrier did not take.
const RETRY_PAUSE: Duration = Duration::from_secs(15);

/// Sends replies until `stop` is cancelled. Those that are being sent then are tracked as detached work.
pub async fn run(app: App, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(MAX_CONCURRENT));
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                if let Err(error) = router_commands::delete_old_replies(&app.db, app.clock.now()).await {
                    tracing::debug!(error = %Error::from(error), "old replies were not deleted");
                }
            }
            () = app.router_replies.notified() => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            sent = send_due(&app, &slots) => if let Err(error) = sent {
                tracing::warn!(error = %error, "replies of the router line wait: they cannot be read");
            },
            () = stop.cancelled() => return,
        }
    }
}

/// Begins to send everything that is due.
async fn send_due(app: &App, slots: &Arc<Semaphore>) -> Result<()> {
    let max_duration = max_send_duration(app.limits.line_time_out);
    loop {
        // A slot first: a reply that is taken must be sent at once.
        let Ok(slot) = slots.clone().acquire_owned().await else { return Ok(()) };
        let due = router_commands::take_due_reply(&app.db, app.clock.now(), max_duration).await?;
        let Some(reply) = due else { return Ok(()) };
        let sending = app.clone();
        app.tasks.spawn(async move {
            let _slot = slot;
            send(&sending, &reply).await;
        });
    }
}

async fn send(app: &App, reply: &DueReply) {
    let due_at = match try_send(app, reply).await {
        Ok(()) => None,
        Err(CarrierError::Transient { retry_after }) => {
            tracing::debug!("a reply of the router line will be tried again");
            Some(app.clock.now() + retry_after.max(RETRY_PAUSE))
        }
        // It may have been sent, and must not be sent twice.
        Err(error) => {
            tracing::warn!(error = %error, "reply of the router line was not sent");
            None
        }
    };
    if let Err(error) = router_commands::settle_reply(&app.db, reply, due_at).await {
        tracing::warn!(error = %Error::from(error), "a reply of the router line may be sent again");
    }
}

async fn try_send(app: &App, reply: &DueReply) -> Result<(), CarrierError> {
    let Ok(carrier) = app.carriers.for_line(&reply.line_number).await else {
        return Err(CarrierError::TRANSIENT);
    };
    let thread = Thread {
        owner: None,
        line_number: reply.line_number.clone(),
        remote_number: reply.remote_number.clone(),
        chat: reply.chat.clone(),
    };
    let message = OutboundMessage {
        id: app.clock.new_id().into(),
        text: Some(&reply.text),
        media_url: None,
        style: None,
        reply_to: None,
        at: app.clock.now(),
    };
    carrier.perform(&thread, Action::Message(message)).await.map(drop)
}
