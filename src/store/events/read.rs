//! Reading the log after a number.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use sqlx::query;
use uuid::Uuid;

use crate::domain::{
    ConnectionId, ConversationId, DeliveryStatus, EventId, EventType, IdentityId, MessageId, OrganizationId,
    PhoneNumber, ReactionId,
};
use crate::store::pool::batch::{BatchQuery, Outputs};
use crate::store::{Database, DbConnection, StoreError};

/// Maximum number of events that are read at once: a page is about 20 KiB.
pub const PAGE_SIZE: usize = 100;

/// A row of the log.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    pub sequence: i64,
    pub id: EventId,
    pub event_type: EventType,
    pub occurred_at: DateTime<Utc>,
    pub identity_id: IdentityId,
    pub conversation_id: Option<ConversationId>,
    pub connection_id: Option<ConnectionId>,
    pub message_id: Option<MessageId>,
    pub reaction_id: Option<ReactionId>,
    /// Whether the event is about a blocked message.
    pub is_blocked: bool,
    pub status: Option<DeliveryStatus>,
    /// How many messages turned read, and how many were unread afterwards.
    pub read: Option<(i32, i32)>,
    /// The human; `None` if the data of identity and human was erased, and the event must not be shown.
    pub remote_number: Option<PhoneNumber>,
}

/// The events after a number, at most [`PAGE_SIZE`], in the order of their numbers. Readers that ask for the same page at
/// the same moment share it.
pub async fn after(
    db: &Database,
    organization_id: &OrganizationId,
    sequence: i64,
) -> Result<Arc<[LoggedEvent]>, StoreError> {
    db.load::<EventsAfter>(organization_id.clone(), sequence).await
}

struct EventsAfter;

impl BatchQuery for EventsAfter {
    type Scope = OrganizationId;
    type Key = i64;
    type Output = Arc<[LoggedEvent]>;

    const SPAN: &'static str = "query events::after";
    /// Readers at the end of the log want the same page, others a page each: few statements for each batch.
    const MAX_BATCH: usize = 1_000;

    fn run<'a>(
        connection: &'a mut DbConnection,
        organization_id: &'a OrganizationId,
        keys: &'a [i64],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(async move {
            let mut pages: HashMap<i64, Arc<[LoggedEvent]>> = HashMap::new();
            for key in keys {
                if !pages.contains_key(key) {
                    pages.insert(*key, page_after(connection, organization_id, *key).await?);
                }
            }
            Ok(keys.iter().map(|key| Ok(pages.get(key).cloned().unwrap_or_else(|| Arc::from([])))).collect())
        })
    }
}

async fn page_after(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    sequence: i64,
) -> Result<Arc<[LoggedEvent]>, StoreError> {
    let rows = query!(
        r#"SELECT e.sequence, e.id, e.type AS event_type, e.occurred_at, e.agent_identity_id, e.conversation_id,
                  e.connection_id, e.message_id, e.reaction_id, e.is_blocked, e.status, e.updated_count, e.unread_count,
                  CASE WHEN e.connection_id IS NULL
                       THEN (SELECT c.remote_number FROM conversations c
                             WHERE c.organization_id = $1 AND c.id = e.conversation_id)
                       ELSE (SELECT k.remote_number FROM connections k
                             WHERE k.organization_id = $1 AND k.id = e.connection_id) END AS remote_number
           FROM events e
           WHERE e.organization_id = $1 AND e.sequence > $2
           ORDER BY e.sequence
           LIMIT $3"#,
        organization_id.as_str(),
        sequence,
        i64::try_from(PAGE_SIZE).unwrap_or(i64::MAX),
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let corrupt = |column| StoreError::Corrupt { table: "events", column, id: row.id };
            let status =
                row.status.map(|status| DeliveryStatus::from_number(status).ok_or(corrupt("status")));
            Ok(LoggedEvent {
                sequence: row.sequence,
                id: row.id.into(),
                event_type: EventType::from_number(row.event_type).ok_or(corrupt("type"))?,
                occurred_at: row.occurred_at,
                identity_id: row.agent_identity_id.into(),
                conversation_id: row.conversation_id.map(Into::into),
                connection_id: row.connection_id.map(Into::into),
                message_id: row.message_id.map(Into::into),
                reaction_id: row.reaction_id.map(Into::into),
                is_blocked: row.is_blocked,
                status: status.transpose()?,
                read: row.updated_count.zip(row.unread_count),
                remote_number: row.remote_number.map(Into::into),
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()
        .map(Into::into)
}

impl LoggedEvent {
    /// The rows that it refers to.
    #[must_use]
    pub fn subject_ids(&self) -> (Option<Uuid>, Option<Uuid>, Option<Uuid>) {
        (
            self.message_id.map(MessageId::uuid),
            self.reaction_id.map(ReactionId::uuid),
            self.connection_id.map(ConnectionId::uuid),
        )
    }
}
