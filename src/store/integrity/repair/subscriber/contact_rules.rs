//! Contact rules of a merged human.

use chrono::{DateTime, Utc};
use sqlx::query;
use uuid::Uuid;

use super::Pair;
use crate::domain::{RuleOnNumber, merged};
use crate::store::contact_rules::rule_on_number;
use crate::store::{DbConnection, StoreError};

/// Gives the rule of the former number the canonical one, or merges it into the rule that this has.
pub(super) async fn merge(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let rows = query!(
        "SELECT id, match_target, action, status FROM contact_rules
         WHERE organization_id = $1 AND agent_identity_id = $2 AND match_target = ANY ($3)
         ORDER BY id
         FOR UPDATE",
        pair.organization_id.as_str(),
        pair.identity_id,
        &pair.numbers(),
    )
    .fetch_all(&mut *link)
    .await?;
    let (mut former, mut canonical) = (None, None);
    for row in rows {
        let rule = rule_on_number(Some(row.id), Some(row.action), Some(row.status))?;
        if row.match_target == pair.former.as_str() { former = rule } else { canonical = rule }
    }
    match (former, canonical) {
        (Some(former), Some(canonical)) => replace(link, pair, former, canonical, now).await,
        (Some(former), None) => rename(link, pair, former.id.uuid()).await,
        (None, _) => Ok(()),
    }
}

async fn rename(link: &mut DbConnection, pair: &Pair<'_>, id: Uuid) -> Result<(), StoreError> {
    query!(
        "UPDATE contact_rules SET match_target = $3 WHERE organization_id = $1 AND id = $2",
        pair.organization_id.as_str(),
        id,
        pair.canonical.as_str(),
    )
    .execute(link)
    .await?;
    Ok(())
}

async fn replace(
    link: &mut DbConnection,
    pair: &Pair<'_>,
    former: RuleOnNumber,
    canonical: RuleOnNumber,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    query!(
        "DELETE FROM contact_rules WHERE organization_id = $1 AND id = $2",
        pair.organization_id.as_str(),
        former.id.uuid(),
    )
    .execute(&mut *link)
    .await?;
    let (action, status) = merged(former, canonical);
    query!(
        "UPDATE contact_rules SET action = $3, status = $4, updated_at = greatest(updated_at, $5)
         WHERE organization_id = $1 AND id = $2 AND (action, status) <> ($3, $4)",
        pair.organization_id.as_str(),
        canonical.id.uuid(),
        action.number(),
        status.number(),
        now,
    )
    .execute(link)
    .await?;
    Ok(())
}
