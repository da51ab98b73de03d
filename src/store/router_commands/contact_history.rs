//! Contact history (`routed_organizations`): which organizations a human is or was connected to on a line. A
//! row exists as long as any connection of the human with the organization on that line exists, released ones
//! included.

use sqlx::{query, query_scalar};

use crate::domain::{OrganizationId, PhoneNumber};
use crate::store::{DbConnection, StoreError};

/// Removes the contact history of a human with an organization on a line if they have no connection there.
/// Returns whether a row was removed.
///
/// The two tables are distributed by different columns, hence one statement each. The lock taken by the first
/// statement keeps the result of the second one valid until the third: a connect takes it before it inserts a
/// connection, and a discard before it deletes one.
pub(in crate::store) async fn remove_if_unconnected(
    link: &mut DbConnection,
    organization_id: &OrganizationId,
    line_number: &PhoneNumber,
    remote_number: &PhoneNumber,
) -> Result<bool, StoreError> {
    let (organization_id, line_number, remote_number) =
        (organization_id.as_str(), line_number.as_str(), remote_number.as_str());
    query!(
        "SELECT organization_id FROM routed_organizations
         WHERE line_number = $1 AND remote_number = $2 AND organization_id = $3
         FOR UPDATE",
        line_number,
        remote_number,
        organization_id,
    )
    .fetch_optional(&mut *link)
    .await?;
    let is_connected = query_scalar!(
        r#"SELECT EXISTS (SELECT FROM connections
                          WHERE organization_id = $1 AND line_number = $2 AND remote_number = $3) AS "is_connected!""#,
        organization_id,
        line_number,
        remote_number,
    )
    .fetch_one(&mut *link)
    .await?;
    if is_connected {
        return Ok(false);
    }
    let done = query!(
        "DELETE FROM routed_organizations WHERE line_number = $1 AND remote_number = $2 AND organization_id = $3",
        line_number,
        remote_number,
        organization_id,
    )
    .execute(link)
    .await?;
    Ok(done.rows_affected() == 1)
}
