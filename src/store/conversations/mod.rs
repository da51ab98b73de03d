//! Conversations and the summaries of their messages.

mod columns;
mod contact_target;
mod get;
mod horizon;
mod list;
mod list_queries;
mod mark_read;
mod recipient;
mod settle;

pub use contact_target::{ContactTarget, target};
pub use get::{exists, get};
pub use horizon::horizon_of;
pub use list::list;
pub use mark_read::mark_read;
pub use recipient::{Recipient, recipient};
pub use settle::settle_horizons;

use sqlx::query;

use super::{DbConnection, StoreError};
use crate::domain::{ConversationId, IdentityId, OrganizationId, PhoneNumber};

/// The id of the conversation of an identity and a human, for use in a transaction.
pub(super) async fn id_of_participants(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    identity_id: IdentityId,
    remote_number: &PhoneNumber,
) -> Result<Option<ConversationId>, StoreError> {
    let row = query!(
        "SELECT id FROM conversations
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3",
        organization_id.as_str(),
        identity_id.uuid(),
        remote_number.as_str(),
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| row.id.into()))
}
