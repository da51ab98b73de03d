//! The route of an inbound message. Reads global tables only, since the organization is not known yet.

use futures_util::future::BoxFuture;
use sqlx::query_as;
use uuid::Uuid;

use crate::domain::{ConnectionId, IdentityId, LineRole, OrganizationId, PhoneNumber};
use crate::store::pool::batch::{BatchQuery, Outputs, key_index};
use crate::store::{Database, DbConnection, StoreError};

/// The role of a line, and the identity to which it connects a human.
#[derive(Debug, Clone)]
pub struct Route {
    pub role: LineRole,
    /// The active connection of this human on this line.
    pub to: Option<Destination>,
    /// Every organization that this human has reached over this line, now or before.
    pub organizations: Vec<OrganizationId>,
    /// Whether the message was stored once and has been deleted since.
    pub was_deleted: bool,
}

/// The active connection that an inbound message belongs to.
#[derive(Debug, Clone)]
pub struct Destination {
    pub organization_id: OrganizationId,
    pub identity_id: IdentityId,
    pub connection_id: ConnectionId,
}

/// The route of messages from this human to this line; `None` if the line is not ours.
pub async fn route(
    db: &Database,
    line_number: &PhoneNumber,
    remote_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<Option<Route>, StoreError> {
    let key = RouteKey {
        line_number: line_number.clone(),
        remote_number: remote_number.clone(),
        provider_message_id: provider_message_id.to_owned(),
    };
    db.load::<RouteBatch>((), key).await
}

struct RouteBatch;

struct RouteKey {
    line_number: PhoneNumber,
    remote_number: PhoneNumber,
    provider_message_id: String,
}

impl BatchQuery for RouteBatch {
    type Scope = ();
    type Key = RouteKey;
    type Output = Option<Route>;

    const SPAN: &'static str = "query inbound::route::route";
    /// The routes of each human may be on another node.
    const SINGLE_ON_CITUS: bool = true;

    fn run<'a>(
        connection: &'a mut DbConnection,
        (): &'a (),
        keys: &'a [RouteKey],
    ) -> BoxFuture<'a, Result<Outputs<Self>, StoreError>> {
        Box::pin(async move {
            match keys {
                [key] => Ok(vec![route_of(connection, key).await]),
                keys => routes_of(connection, keys).await,
            }
        })
    }
}

async fn route_of(connection: &mut DbConnection, key: &RouteKey) -> Result<Option<Route>, StoreError> {
    let row = query_as!(
        Row,
        r#"SELECT l.role, r.organization_id AS "organization_id?",
                  r.agent_identity_id AS "agent_identity_id?", r.connection_id AS "connection_id?",
                  ARRAY(SELECT o.organization_id FROM routed_organizations o
                        WHERE o.line_number = $1 AND o.remote_number = $2) AS "organizations!",
                  EXISTS (SELECT f.line_number FROM forgotten_texts f
                          WHERE f.line_number = $1 AND f.provider_message_id = $3) AS "forgotten!",
                  1::bigint AS "number!"
           FROM lines l
           LEFT JOIN routes r ON r.line_number = $1 AND r.remote_number = $2
           WHERE l.number = $1"#,
        key.line_number.as_str(),
        key.remote_number.as_str(),
        key.provider_message_id,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Row::route).transpose()
}

/// `OFFSET 0` makes PostgreSQL look up everything per key, whatever number of keys it plans for.
async fn routes_of(
    connection: &mut DbConnection,
    keys: &[RouteKey],
) -> Result<Outputs<RouteBatch>, StoreError> {
    let lines: Vec<&str> = keys.iter().map(|key| key.line_number.as_str()).collect();
    let humans: Vec<&str> = keys.iter().map(|key| key.remote_number.as_str()).collect();
    let provider_ids: Vec<&str> = keys.iter().map(|key| key.provider_message_id.as_str()).collect();
    let rows = query_as!(
        Row,
        r#"SELECT t.number AS "number!", l.role, r.organization_id AS "organization_id?",
                  r.agent_identity_id AS "agent_identity_id?", r.connection_id AS "connection_id?",
                  ARRAY(SELECT o.organization_id FROM routed_organizations o
                        WHERE o.line_number = t.line_number AND o.remote_number = t.remote_number)
                      AS "organizations!",
                  EXISTS (SELECT f.line_number FROM forgotten_texts f
                          WHERE f.line_number = t.line_number AND f.provider_message_id = t.provider_message_id)
                      AS "forgotten!"
           FROM unnest($1::text[], $2::text[], $3::text[])
                WITH ORDINALITY t (line_number, remote_number, provider_message_id, number)
           CROSS JOIN LATERAL (SELECT role FROM lines WHERE number = t.line_number OFFSET 0) l
           LEFT JOIN LATERAL (SELECT organization_id, agent_identity_id, connection_id FROM routes
                              WHERE line_number = t.line_number AND remote_number = t.remote_number OFFSET 0) r
                ON true"#,
        &lines as &[&str],
        &humans as &[&str],
        &provider_ids as &[&str],
    )
    .fetch_all(connection)
    .await?;
    let mut routes: Vec<_> = keys.iter().map(|_| Ok(None)).collect();
    for row in rows {
        let index = key_index(row.number, keys.len()).and_then(|index| routes.get_mut(index));
        let corrupt = StoreError::Corrupt { table: "routes", column: "number", id: Uuid::nil() };
        *index.ok_or(corrupt)? = row.route().map(Some);
    }
    Ok(routes)
}

struct Row {
    role: i16,
    organization_id: Option<String>,
    agent_identity_id: Option<Uuid>,
    connection_id: Option<Uuid>,
    organizations: Vec<String>,
    forgotten: bool,
    /// The number of the key, from 1.
    number: i64,
}

impl Row {
    fn route(self) -> Result<Route, StoreError> {
        let role = LineRole::from_number(self.role).ok_or(StoreError::Corrupt {
            table: "lines",
            column: "role",
            id: Uuid::nil(),
        })?;
        let to = match (self.organization_id, self.agent_identity_id, self.connection_id) {
            (Some(organization_id), Some(identity_id), Some(connection_id)) => Some(Destination {
                organization_id: organization_id.into(),
                identity_id: identity_id.into(),
                connection_id: connection_id.into(),
            }),
            _ => None,
        };
        let organizations = self.organizations.into_iter().map(Into::into).collect();
        Ok(Route { role, to, organizations, was_deleted: self.forgotten })
    }
}
