//! `ListEvents`.

use std::time::Duration;

use prost::Message as _;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::convert::event_for;
use super::params::{Params, Requested, place_of};
use crate::app::App;
use crate::domain::{MAX_RESPONSE_BYTES, Principal};
use crate::error::Result;
use crate::grpc::wire::request::Violations;
use crate::messaging::events::{EventReader, Start};
use crate::proto::{ListEventsRequest, ListEventsResponse};

/// The longest wait for a first event.
const MAX_WAIT_SECONDS: i32 = 30;
/// A wait ends this much before the client's deadline, so that the answer arrives in time.
const ANSWER_MARGIN: Duration = Duration::from_millis(100);
/// Pages of the log that one call looks through. One that has found nothing then answers with an empty page, and the next
/// call continues after it.
const MAX_PAGES: u32 = 50;
/// A page ends with the event that reaches this size.
const MAX_PAGE_BYTES: usize = MAX_RESPONSE_BYTES / 2;

struct ListParams {
    params: Params,
    limit: usize,
    wait: Duration,
}

fn parse(request: &ListEventsRequest) -> Result<ListParams> {
    let mut violations = Violations::default();
    let requested = Requested {
        agent_identity_id: request.agent_identity_id.as_deref(),
        conversation_id: request.conversation_id.as_deref(),
        types: &request.types,
        is_blocked: request.is_blocked,
    };
    let params = Params::parse(&mut violations, &requested);
    let limit = violations.limit(request.limit);
    let wait = violations.seconds("wait_seconds", request.wait_seconds, MAX_WAIT_SECONDS);
    violations.finish(|| Some(ListParams { params: params?, limit: limit? as usize, wait: wait? }))
}

pub(super) async fn list(
    app: &App,
    caller: &Principal,
    request: ListEventsRequest,
    timeout: Duration,
    closing: CancellationToken,
) -> Result<ListEventsResponse> {
    let ListParams { params, limit, wait } = parse(&request)?;
    let tenant = caller.require_tenant()?;
    params.identity_scope(tenant)?;
    let cursors = app.cursors.ready(&app.db).await?;
    let place = place_of(&cursors, tenant, &request.after)?;
    let waits_until = Instant::now() + wait.min(timeout.saturating_sub(ANSWER_MARGIN));
    if !wait.is_zero() {
        app.admission.begin_stream(tenant.key_id)?;
    }
    let filter = params.filter(app, tenant).await?;
    let start = place.map_or(Start::Oldest, Start::After);
    let mut reader = EventReader::start(&app.db, &tenant.organization_id, filter, start)
        .await
        .inspect_err(|error| app.metrics.events.failed(error))?;
    let (mut events, mut bytes) = (Vec::new(), 0);
    while events.len() < limit && bytes < MAX_PAGE_BYTES && reader.pages_read() < MAX_PAGES {
        if let Some(event) = reader.try_next().await.inspect_err(|error| app.metrics.events.failed(error))? {
            let event = event_for(tenant, event, &cursors)?;
            bytes += event.encoded_len();
            events.push(event);
        } else {
            let is_over = !events.is_empty() || wait.is_zero() || {
                let waiting = timeout_at(waits_until, reader.wait());
                tokio::select! {
                    waited = waiting => waited.is_err(),
                    () = closing.cancelled() => true,
                }
            };
            if is_over {
                break;
            }
        }
    }
    Ok(ListEventsResponse { cursor: cursors.seal(&tenant.organization_id, reader.place())?, events })
}
