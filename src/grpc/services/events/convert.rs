//! Encoding events.

use crate::domain::{PhoneNumber, Tenant};
use crate::error::Result;
use crate::grpc::wire::convert::{message_for, timestamp};
use crate::messaging::events::{Event, SealedCursors};
use crate::proto;

/// An event as this caller may see it.
pub(super) fn event_for(caller: &Tenant, event: Event, cursors: &SealedCursors) -> Result<proto::Event> {
    let Event { logged, rows, place } = event;
    let read_state =
        logged.read.map(|(updated_count, unread_count)| proto::ReadState { updated_count, unread_count });
    Ok(proto::Event {
        id: logged.id.into(),
        cursor: cursors.seal(&caller.organization_id, place)?,
        r#type: logged.event_type.into(),
        occurred_at: Some(timestamp(logged.occurred_at)),
        agent_identity_id: logged.identity_id.into(),
        remote_number: logged.remote_number.map(PhoneNumber::into_string).unwrap_or_default(),
        conversation_id: logged.conversation_id.map(Into::into),
        message: rows.message.map(|message| message_for(caller, message)),
        reaction: rows.reaction.map(Into::into),
        connection: rows.connection.map(Into::into),
        read_state,
        status: logged.status.map_or(0, Into::into),
    })
}
