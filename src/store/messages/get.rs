//! One message.

use sqlx::query_as;

use super::{Row, add_reactions};
use crate::domain::{IdentityId, Message, MessageId, OrganizationId, View};
use crate::store::{Affects, Database, DbConnection, StoreError};

/// One message of an organization, of one identity where one is named, inside a view; to be shown.
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

/// The same as it is now, for an answer that depends on it.
pub async fn current(
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

/// What the view leaves out does not leave the database: a row that is read and put away takes longer than none, and
/// would tell that it is there.
async fn one(
    connection: &mut DbConnection,
    organization_id: &OrganizationId,
    identity_id: Option<IdentityId>,
    view: View,
    id: MessageId,
) -> Result<Option<Message>, StoreError> {
    let row = query_as!(
        Row,
        "SELECT m.id, m.conversation_id, m.assignment_id, m.direction, m.received_number, m.is_blocked, m.text,
                        m.media, m.send_style, m.transport, m.status, m.error_code, m.error_message,
                        m.was_downgraded, m.created_at, m.updated_at, c.remote_number, c.clear_read
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
