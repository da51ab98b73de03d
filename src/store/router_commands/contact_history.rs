//! What a human reached over a line, remembered for as long as there is a connection.

use sqlx::{query, query_scalar};

use crate::domain::{OrganizationId, PhoneNumber};
use crate::store::{Failure, Link};

/// Forgets that a human reached an organization over a line, where there is no connection of theirs on it; tells whether
/// it was so. Two tables that are spread by different columns, so a statement each; the lock keeps what the second one
/// sees true until the third: whoever connects takes it before the connection is made, and whoever discards before the
/// connection is gone.
pub(in crate::store) async fn forget_without_connection(
    link: &mut Link,
    organization_id: &OrganizationId,
    line_number: &PhoneNumber,
    remote_number: &PhoneNumber,
) -> Result<bool, Failure> {
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
