//! Conversations, with the summaries of their messages.

mod get;
mod list;
mod mark_read;
mod page_rows;
mod recipient;
mod target;

pub(super) use get::ConversationById;
pub use get::{exists, get};
pub(super) use list::PageOfConversations;
pub use list::list;
pub(super) use mark_read::MarkRead;
pub use mark_read::mark_read;
pub use recipient::{Recipient, recipient};
pub(super) use target::TargetById;
pub use target::{CallTarget, target};

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::{DbConnection, StoreError};
use crate::domain::{
    AssignmentStatus, Conversation, ConversationId, IdentityId, OrganizationId, PhoneNumber,
};

/// The columns that every reading of a conversation starts with.
struct Base {
    id: Uuid,
    agent_identity_id: Uuid,
    remote_number: String,
    assignment_id: Uuid,
    assignment_released: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Base> for Conversation {
    fn from(row: Base) -> Self {
        Self {
            id: row.id.into(),
            agent_identity_id: row.agent_identity_id.into(),
            remote_number: row.remote_number.into(),
            assignment_id: row.assignment_id.into(),
            assignment_status: if row.assignment_released {
                AssignmentStatus::Released
            } else {
                AssignmentStatus::Active
            },
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// The conversation of an identity and a human, inside a transaction of the caller's.
pub(super) async fn id_of_pair(
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
