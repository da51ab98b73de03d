//! Where a text goes. Reads global tables only: the organization is not known before.

use futures_util::future::BoxFuture;
use sqlx::query_as;
use uuid::Uuid;

use crate::domain::{ConnectionId, IdentityId, LineRole, OrganizationId, PhoneNumber};
use crate::store::gathered::{Answers, Shared};
use crate::store::session::traced;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// What a line is for, and whom it connects a human to.
#[derive(Debug, Clone)]
pub struct Route {
    /// The line's role.
    pub role: LineRole,
    /// The active connection of this human on this line.
    pub to: Option<Destination>,
    /// Every organization that this human reached over this line, now or before.
    pub organizations: Vec<OrganizationId>,
    /// Whether the text was stored once and has been deleted since.
    pub forgotten: bool,
}

/// The active connection that an inbound text belongs to.
#[derive(Debug, Clone)]
pub struct Destination {
    /// Its organization.
    pub organization_id: OrganizationId,
    /// Its identity.
    pub identity_id: IdentityId,
    /// The connection.
    pub connection_id: ConnectionId,
}

/// Where texts of this human to this line go; `None` when the line is not ours.
pub async fn route(
    db: &Database,
    line_number: &PhoneNumber,
    remote_number: &PhoneNumber,
    provider_message_id: &str,
) -> Result<Option<Route>, StoreError> {
    let text = TextFrom {
        line_number: line_number.clone(),
        remote_number: remote_number.clone(),
        provider_message_id: provider_message_id.to_owned(),
    };
    // Together they would be spread over all nodes: each human's routes may be on another one.
    if db.is_distributed() {
        let mut session = db.acquire(Affects::None).await?;
        return session.run("query inbound::route::route", |link| one(link, &text)).await;
    }
    let asking = db.shared.routes.ask(db, (), text);
    traced("query inbound::route::route", asking).await
}

/// Routes of texts, whosever they are.
pub(in crate::store) struct RouteOfText;

/// What a route is that of.
pub(in crate::store) struct TextFrom {
    line_number: PhoneNumber,
    remote_number: PhoneNumber,
    provider_message_id: String,
}

impl Shared for RouteOfText {
    type Group = ();
    type Item = TextFrom;
    type Answer = Option<Route>;

    fn run<'a>(
        link: &'a mut DbConnection,
        (): &'a (),
        texts: &'a [TextFrom],
    ) -> BoxFuture<'a, Result<Answers<Self>, StoreError>> {
        Box::pin(async move {
            // The first of all come here before it is known what the database is.
            if !link.is_distributed() {
                return several(link, texts).await;
            }
            let mut routes = Vec::with_capacity(texts.len());
            for text in texts {
                routes.push(Ok(one(link, text).await?));
            }
            Ok(routes)
        })
    }
}

async fn one(link: &mut DbConnection, text: &TextFrom) -> Result<Option<Route>, StoreError> {
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
        text.line_number.as_str(),
        text.remote_number.as_str(),
        text.provider_message_id,
    )
    .fetch_optional(link)
    .await?;
    row.map(Row::route).transpose()
}

/// `OFFSET 0` has everything looked up for each text, whatever number of them PostgreSQL plans for.
async fn several(link: &mut DbConnection, texts: &[TextFrom]) -> Result<Answers<RouteOfText>, StoreError> {
    let lines: Vec<&str> = texts.iter().map(|text| text.line_number.as_str()).collect();
    let humans: Vec<&str> = texts.iter().map(|text| text.remote_number.as_str()).collect();
    let provider_ids: Vec<&str> = texts.iter().map(|text| text.provider_message_id.as_str()).collect();
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
    .fetch_all(link)
    .await?;
    let mut routes: Vec<_> = texts.iter().map(|_| Ok(None)).collect();
    for row in rows {
        let place = usize::try_from(row.number).ok().and_then(|number| number.checked_sub(1));
        if let Some(route) = place.and_then(|place| routes.get_mut(place)) {
            *route = row.route().map(Some);
        }
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
    /// Which of the texts, counted from 1.
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
        Ok(Route { role, to, organizations, forgotten: self.forgotten })
    }
}
