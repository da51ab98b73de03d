//! `WatchEvents`.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use prost::Message as _;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::convert::event_for;
use super::params::{Params, Requested, place_of};
use super::revocation::Revocation;
use crate::admission::{CallPermit, Consumer, scope};
use crate::app::App;
use crate::auth::find_named_identity;
use crate::domain::{IdentityId, Principal, Tenant};
use crate::error::{Error, Result};
use crate::grpc::wire::request::Violations;
use crate::messaging::events::{Event, EventReader, SealedCursors, Start};
use crate::proto::watch_events_response::Kind;
use crate::proto::{Heartbeat, WatchEventsRequest, WatchEventsResponse};

/// A heartbeat follows when nothing was sent for this long.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);
/// How long a stream lives on while the database cannot be read.
const MAX_OUTAGE: Duration = Duration::from_secs(10);
/// Pause after the database could not be read.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

fn parse(request: &WatchEventsRequest) -> Result<Params> {
    let mut violations = Violations::default();
    let requested = Requested {
        agent_identity_id: request.agent_identity_id.as_deref(),
        conversation_id: request.conversation_id.as_deref(),
        types: &request.types,
        is_blocked: request.is_blocked,
    };
    let params = Params::parse(&mut violations, &requested);
    violations.finish(|| params)
}

pub(super) async fn watch(
    app: &App,
    caller: &Principal,
    request: WatchEventsRequest,
    revocation: Option<Revocation>,
    call: Option<Arc<CallPermit>>,
    closing: CancellationToken,
) -> Result<BoxStream<'static, Result<WatchEventsResponse>>> {
    let params = parse(&request)?;
    let tenant = caller.require_tenant()?;
    let identity_id = params.identity_scope(tenant)?;
    let cursors = app.cursors.ready(&app.db).await?;
    let start = place_of(&cursors, tenant, &request.after)?.map_or(Start::Now, Start::After);
    app.admission.begin_stream(tenant.key_id)?;
    let filter = params.filter(app, tenant).await?;
    let reader = EventReader::start(&app.db, &tenant.organization_id, filter, start)
        .await
        .inspect_err(|error| app.metrics.events.failed(error))?;
    let revocation = revocation.ok_or(Error::ApiKeyInvalid)?;
    let watch = Watch {
        app: app.clone(),
        tenant: tenant.clone(),
        identity_id,
        cursors,
        reader,
        revocation,
        closing,
        began_at: app.database_now(),
        heartbeat_at: Instant::now() + HEARTBEAT_INTERVAL,
        has_begun: false,
        ends_after: None,
        failing_since: None,
        call,
        counted: 0,
    };
    let consumer = Consumer::from(caller);
    let responses = stream::unfold(Some(watch), move |watch| {
        let consumer = consumer.clone();
        async move {
            let mut watch = watch?;
            match scope(consumer, None, watch.next()).await {
                Ok(response) => Some((Ok(response), Some(watch))),
                Err(error) => Some((Err(error), None)),
            }
        }
    });
    Ok(responses.boxed())
}

/// A stream that is open.
struct Watch {
    app: App,
    tenant: Tenant,
    /// The identity that the request named.
    identity_id: Option<IdentityId>,
    cursors: SealedCursors,
    reader: EventReader,
    revocation: Revocation,
    closing: CancellationToken,
    /// Later events are new, and show how long the delivery of one takes.
    began_at: DateTime<Utc>,
    heartbeat_at: Instant,
    /// Whether the starting heartbeat was sent.
    has_begun: bool,
    /// The number of the event after which the stream ends, once it is to end.
    ends_after: Option<i64>,
    failing_since: Option<Instant>,
    call: Option<Arc<CallPermit>>,
    /// Bytes of the largest message, which count as memory until the end of the stream.
    counted: usize,
}

/// What happens next on a stream.
enum Step {
    Revoked(Error),
    Closing,
    Read(Result<Option<Box<Event>>>),
    Heartbeat,
}

impl Watch {
    /// What to send next.
    ///
    /// # Errors
    /// The reason for which the stream ends.
    async fn next(&mut self) -> Result<WatchEventsResponse> {
        if !self.has_begun {
            self.has_begun = true;
            return self.heartbeat();
        }
        loop {
            let step = tokio::select! {
                biased;
                error = self.revocation.until_invalid(&*self.app.clock) => Step::Revoked(error),
                () = self.closing.cancelled(), if self.ends_after.is_none() => Step::Closing,
                () = sleep_until(self.heartbeat_at) => Step::Heartbeat,
                read = read(&mut self.reader, self.ends_after, self.failing_since.is_some()) => Step::Read(read),
            };
            match step {
                Step::Revoked(error) => return Err(error),
                // Events that were committed before are sent first.
                Step::Closing => {
                    let last = Box::pin(self.reader.number_of_last_commit()).await;
                    self.ends_after = Some(last.unwrap_or_default());
                }
                Step::Heartbeat => {
                    Box::pin(self.check()).await?;
                    return self.heartbeat();
                }
                Step::Read(Ok(Some(event))) => return self.event(*event),
                Step::Read(Ok(None)) => return Err(Error::StreamEnded),
                Step::Read(Err(error)) => self.failed(error)?,
            }
        }
    }

    fn event(&mut self, event: Event) -> Result<WatchEventsResponse> {
        self.failing_since = None;
        if event.logged.occurred_at >= self.began_at {
            self.app.metrics.events.delivered(self.app.database_now() - event.logged.occurred_at);
        }
        let event = event_for(&self.tenant, event, &self.cursors)?;
        let size = event.encoded_len();
        if let Some(call) = self.call.as_ref().filter(|_| size > self.counted) {
            call.add_bytes(size - self.counted)?;
            self.counted = size;
        }
        self.heartbeat_at = Instant::now() + HEARTBEAT_INTERVAL;
        Ok(WatchEventsResponse { kind: Some(Kind::Event(event)) })
    }

    fn heartbeat(&mut self) -> Result<WatchEventsResponse> {
        self.heartbeat_at = Instant::now() + HEARTBEAT_INTERVAL;
        let cursor = self.cursors.seal(&self.tenant.organization_id, self.reader.place())?;
        Ok(WatchEventsResponse { kind: Some(Kind::Heartbeat(Heartbeat { cursor })) })
    }

    /// Whether a stream on which nothing happens may go on.
    async fn check(&self) -> Result<()> {
        if self.app.db.event_heads().unreachable_for() > MAX_OUTAGE {
            return Err(Error::StorageUnavailable);
        }
        match find_named_identity(&self.app.db, &self.tenant, self.identity_id).await {
            Err(error @ Error::NotFound(_)) => Err(error),
            // The time of the outage decides.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Goes on after a failure of the database, unless it lasts.
    fn failed(&mut self, error: Error) -> Result<()> {
        self.app.metrics.events.failed(&error);
        let since = *self.failing_since.get_or_insert_with(Instant::now);
        let is_over = self.ends_after.is_some() || since.elapsed() > MAX_OUTAGE;
        match error {
            Error::StorageUnavailable | Error::Overloaded { .. } if !is_over => Ok(()),
            error => Err(error),
        }
    }
}

/// The next event; waits for it. `None` once all up to `ends_after` were read.
async fn read(
    reader: &mut EventReader,
    ends_after: Option<i64>,
    has_failed: bool,
) -> Result<Option<Box<Event>>> {
    if has_failed {
        tokio::time::sleep(RETRY_PAUSE).await;
    }
    loop {
        if ends_after.is_some_and(|last| reader.place().sequence >= last) {
            return Ok(None);
        }
        // Boxed, like all that a stream which waits does not need: there may be thousands of them.
        if let Some(event) = Box::pin(reader.try_next()).await? {
            return Ok(Some(Box::new(event)));
        }
        if ends_after.is_some() {
            return Ok(None);
        }
        reader.wait().await;
    }
}
