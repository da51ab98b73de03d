//! One message.

use sqlx::query_as;
use uuid::Uuid;

use super::columns::{MessageColumns, add_reactions};
use crate::domain::{IdentityId, Message, MessageId, OrganizationId, View};
use crate::store::{Affects, Database, DbConnection, StoreError};

/// One message of an organization, within a view; of one identity, if one is named.
pub async fn get(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let mut session = db.read(organization_id).await?;
    session
        .find("query messages::get::get", |connection| {
            one(connection, organization_id, identity_id, view, id)
        })
        .await
}

/// The same from the primary, for an answer that depends on the current state.
pub async fn get_from_primary(
    db: &Database,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let mut session = db.acquire(Affects::None).await?;
    session
        .run("query messages::get::current", |connection| {
            one(connection, organization_id, identity_id, view, id)
        })
        .await
}

/// The view is a condition of the query: a row that is read and then discarded takes longer than no row, and the time
/// would reveal that it exists.
async fn one(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let row = query_as!(
        MessageColumns,
        "SELECT m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number, m.is_blocked, m.text,
                        m.media, m.send_style, m.transport, m.status, m.error_code, m.error_message,
                        m.was_downgraded, m.created_at, m.updated_at, m.edited_at, m.retracted_at, m.original_text,
                        m.reply_to_message_id, m.origin, c.remote_number, c.clear_read
                 FROM messages m
                 JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
                 WHERE m.organization_id = $1 AND m.id = $2 AND ($3::uuid IS NULL OR m.agent_identity_id = $3)
                   AND CASE WHEN m.is_blocked THEN $4 ELSE $5::boolean END",
        organization_id.as_str(),
        id.uuid(),
        identity_id.map(IdentityId::uuid),
        view.shows(true),
        view.shows(false),
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let mut found = [Message::try_from(row)?];
    add_reactions(connection, organization_id, &mut found).await?;
    let [message] = found;
    Ok(Some(message))
}

/// Messages of an organization by id, blocked ones as well, without those that do not exist.
pub(in crate::store) async fn by_ids(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<Message>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = query_as!(
        MessageColumns,
        "SELECT m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number, m.is_blocked, m.text,
                m.media, m.send_style, m.transport, m.status, m.error_code, m.error_message, m.was_downgraded,
                m.created_at, m.updated_at, m.edited_at, m.retracted_at, m.original_text, m.reply_to_message_id,
                m.origin, c.remote_number, c.clear_read
         FROM messages m
         JOIN conversations c ON c.organization_id = $1 AND c.id = m.conversation_id
         WHERE m.organization_id = $1 AND m.id = ANY ($2)",
        organization_id.as_str(),
        ids,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut found = rows.into_iter().map(Message::try_from).collect::<Result<Vec<_>, _>>()?;
    add_reactions(connection, organization_id, &mut found).await?;
    Ok(found)
}
