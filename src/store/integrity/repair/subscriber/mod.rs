//! Merges what an identity has under a former form of a human's number into the canonical one.
//!
//! One transaction per identity and human, with the locks of the service in its order: contact history, connections,
//! conversations, messages, routes, lines. A row that the service inserts in the meantime under the canonical number ends the
//! transaction by a unique key, and nothing is changed: see [`met_a_concurrent_change`].

mod connections;
mod contact_rules;
mod conversations;

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::global_tables::recount_line;
use crate::domain::{OrganizationId, PhoneNumber};
use crate::store::retention::lock_retention;
use crate::store::router_commands::remove_if_unconnected;
use crate::store::{DbConnection, StoreError};

/// An identity and the two numbers of a human.
struct Pair<'a> {
    organization_id: &'a OrganizationId,
    identity_id: Uuid,
    former: PhoneNumber,
    canonical: PhoneNumber,
}

impl Pair<'_> {
    /// Both numbers, for the statements that lock the rows of both.
    fn numbers(&self) -> [String; 2] {
        [self.canonical.as_str().to_owned(), self.former.as_str().to_owned()]
    }
}

/// Merges the pair of a connection or contact rule with this id. Returns 0 if its number is canonical by
/// now, or if a connection would have to be released on which a send is in flight.
pub(super) async fn merge(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    // The messages of two conversations become one's, and redaction must not miss their previews.
    lock_retention(link, organization_id).await?;
    let Some(pair) = pair_of(link, organization_id, id).await? else { return Ok(0) };
    let lines = lock_contact_history(link, &pair).await?;
    let connections = connections::lock(link, &pair).await?;
    let conversations = conversations::lock(link, &pair).await?;
    let released = connections::superfluous(link, &pair, &connections).await?;
    if connections::have_sends_in_flight(link, &pair, &released).await? {
        return Ok(0);
    }
    connections::release(link, &pair, &released, now).await?;
    connections::rename(link, &pair, &connections, &released).await?;
    conversations::merge(link, &pair, &conversations).await?;
    contact_rules::merge(link, &pair, now).await?;
    for line_number in &lines {
        remove_if_unconnected(link, organization_id, &line_number.clone().into(), &pair.former).await?;
    }
    let mut recounted: Vec<_> = released.iter().map(|row| row.line_number.as_str()).collect();
    recounted.sort_unstable();
    recounted.dedup();
    for line_number in recounted {
        recount_line(link, line_number).await?;
    }
    Ok(1)
}

/// Whether the service has inserted a row under the canonical number since the repair looked.
pub(super) fn met_a_concurrent_change(failure: &StoreError) -> bool {
    ["connections_one_active", "conversations_one_per_pair", "contact_rules_one_per_number", "routes_pkey"]
        .iter()
        .any(|constraint| failure.violates(constraint))
}

async fn pair_of<'a>(
    link: &mut DbConnection,
    organization_id: &'a OrganizationId,
    id: Uuid,
) -> Result<Option<Pair<'a>>, StoreError> {
    let row = query!(
        r#"SELECT agent_identity_id AS "identity_id!", remote_number AS "number!" FROM connections
           WHERE organization_id = $1 AND id = $2
           UNION ALL
           SELECT agent_identity_id, match_target FROM contact_rules WHERE organization_id = $1 AND id = $2
           LIMIT 1"#,
        organization_id.as_str(),
        id,
    )
    .fetch_optional(link)
    .await?;
    Ok(row.and_then(|row| {
        let former = PhoneNumber::from(row.number);
        let canonical = former.clone().canonical();
        let pair = Pair { organization_id, identity_id: row.identity_id, former, canonical };
        (pair.former != pair.canonical).then_some(pair)
    }))
}

/// Adds the contact history under the canonical number on the lines of the former one, and locks both. Returns these
/// lines. One row at a time: on a distributed database the rows of a human are on one node.
async fn lock_contact_history(link: &mut DbConnection, pair: &Pair<'_>) -> Result<Vec<String>, StoreError> {
    let rows = query!(
        "SELECT DISTINCT line_number FROM connections
         WHERE organization_id = $1 AND agent_identity_id = $2 AND remote_number = $3
         ORDER BY line_number",
        pair.organization_id.as_str(),
        pair.identity_id,
        pair.former.as_str(),
    )
    .fetch_all(&mut *link)
    .await?;
    let lines: Vec<String> = rows.into_iter().map(|row| row.line_number).collect();
    for line_number in &lines {
        query!(
            "INSERT INTO routed_organizations (line_number, remote_number, organization_id) VALUES ($1, $2, $3)
             ON CONFLICT (line_number, remote_number, organization_id)
             DO UPDATE SET organization_id = excluded.organization_id",
            line_number,
            pair.canonical.as_str(),
            pair.organization_id.as_str(),
        )
        .execute(&mut *link)
        .await?;
    }
    query!(
        "SELECT line_number FROM routed_organizations
         WHERE line_number = ANY ($1) AND remote_number = $2 AND organization_id = $3
         ORDER BY line_number
         FOR UPDATE",
        &lines,
        pair.former.as_str(),
        pair.organization_id.as_str(),
    )
    .fetch_all(link)
    .await?;
    Ok(lines)
}
