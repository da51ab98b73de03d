//! The columns that every query of a conversation reads.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::domain::{AssignmentStatus, Conversation};

pub(super) struct ConversationColumns {
    pub(super) id: Uuid,
    pub(super) agent_identity_id: Uuid,
    pub(super) remote_number: String,
    pub(super) assignment_id: Uuid,
    pub(super) assignment_released: bool,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) opted_out_at: Option<DateTime<Utc>>,
}

impl From<ConversationColumns> for Conversation {
    fn from(row: ConversationColumns) -> Self {
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
            opted_out_at: row.opted_out_at,
        }
    }
}
