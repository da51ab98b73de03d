//! Rows that no RPC makes yet, or that would take too many calls.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use inkbox_imessage::proto::{ContactRuleAction, ContactRuleStatus, Identity};

/// A contact rule; gives its id.
pub async fn contact_rule(
    pool: &PgPool,
    identity: &Identity,
    number: &str,
    action: ContactRuleAction,
    status: ContactRuleStatus,
) -> Uuid {
    let id = inkbox_imessage::clock::Clock::new_id(&inkbox_imessage::clock::SystemClock);
    sqlx::query(
        "INSERT INTO contact_rules (organization_id, id, agent_identity_id, action, match_target, status, created_at,
                                    updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, now(), now())",
    )
    .bind(&identity.organization_id)
    .bind(id)
    .bind(Uuid::try_parse(&identity.id).unwrap())
    .bind(i16::try_from(action as i32).unwrap())
    .bind(number)
    .bind(i16::try_from(status as i32).unwrap())
    .execute(pool)
    .await
    .unwrap();
    id
}

/// An active block rule.
pub async fn block(pool: &PgPool, identity: &Identity, number: &str) -> Uuid {
    contact_rule(pool, identity, number, ContactRuleAction::Block, ContactRuleStatus::Active).await
}

/// Removes every contact rule of an identity.
pub async fn remove_rules(pool: &PgPool, identity: &Identity) {
    sqlx::query("DELETE FROM contact_rules WHERE organization_id = $1 AND agent_identity_id = $2")
        .bind(&identity.organization_id)
        .bind(Uuid::try_parse(&identity.id).unwrap())
        .execute(pool)
        .await
        .unwrap();
}
