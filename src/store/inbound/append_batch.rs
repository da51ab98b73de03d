//! Storing inbound messages of the same moment in one statement, if they are for different conversations.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::message::NewInbound;
use crate::domain::{ConversationId, OrganizationId};
use crate::store::messages::append::{Kind, Locked, append};
use crate::store::pool::batch::{BatchQuery, Outputs};
use crate::store::{Affects, DbConnection, StoreError};

pub(super) struct AppendItem {
    pub(super) new: Arc<NewInbound>,
    pub(super) conversation_id: ConversationId,
}

/// `false` means that the message was not stored and nothing changed: the conversation is locked, another message of the
/// batch is for the same conversation, the connection is no longer active, or the statement failed. The caller retries it
/// alone.
pub(super) struct AppendBatch;

impl BatchQuery for AppendBatch {
    type Scope = OrganizationId;
    type Key = AppendItem;
    type Output = bool;

    const SPAN: &'static str = "query inbound::append::store_among_others";
    const SINGLE_ON_CITUS: bool = true;

    fn affects(organization_id: &OrganizationId) -> Affects {
        Affects::organization(organization_id)
    }

    fn run<'a>(
        connection: &'a mut DbConnection,
        organization_id: &'a OrganizationId,
        items: &'a [AppendItem],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(async move {
            let messages = items.iter().map(|item| item.new.message(item.conversation_id)).collect();
            let appended = append(connection, organization_id, Kind::Inbound, Locked::Skip, messages).await;
            let appended: HashSet<_> = match appended {
                Ok(appended) => appended.into_iter().collect(),
                Err(error) if error.broke_connection() => return Err(error),
                // The reason for which one message is refused does not concern the others.
                Err(error) => {
                    tracing::debug!(error = %error, texts = items.len(), "batch of messages not stored");
                    HashSet::new()
                }
            };
            Ok(items.iter().map(|item| Ok(appended.contains(&item.new.message_id.uuid()))).collect())
        })
    }
}
