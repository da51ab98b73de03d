//! Rows that no RPC creates, or that would take too many calls.

use sqlx::postgres::PgPool;
use uuid::Uuid;

use inkbox_imessage::proto::{ContactRuleAction, ContactRuleStatus, Identity};

/// Inserts a contact rule and returns its id.
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

/// Inserts an active block rule and returns its id.
pub async fn block(pool: &PgPool, identity: &Identity, number: &str) -> Uuid {
    contact_rule(pool, identity, number, ContactRuleAction::Block, ContactRuleStatus::Active).await
}

/// Deletes all contact rules of an identity.
pub async fn remove_rules(pool: &PgPool, identity: &Identity) {
    sqlx::query("DELETE FROM contact_rules WHERE organization_id = $1 AND agent_identity_id = $2")
        .bind(&identity.organization_id)
        .bind(Uuid::try_parse(&identity.id).unwrap())
        .execute(pool)
        .await
        .unwrap();
}

/// Inserts conversations with one allowed message each, all of the same time, and their active connections.
pub async fn many_conversations(pool: &PgPool, identity: &Identity, count: i32) {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::from_u128(rand::random())).collect();
    let connections = "
        INSERT INTO connections (organization_id, id, agent_identity_id, line_number, remote_number, created_at,
                                 updated_at)
        SELECT $1, id, $2, '+12025550101', '+1555' || 7000000 + n, now(), now()
        FROM unnest($3::uuid[]) WITH ORDINALITY AS u (id, n)";
    let conversations = "
        INSERT INTO conversations (organization_id, id, agent_identity_id, remote_number, assignment_id, created_at,
                                   updated_at, latest_at, clear_total, clear_received, clear_latest_id,
                                   clear_latest_at, clear_latest_direction, clear_latest_text, clear_latest_has_media)
        SELECT $1, gen_random_uuid(), $2, '+1555' || 7000000 + n, id, now(), now(), now(), 1, 1,
               gen_random_uuid(), now(), 1, 'hello', false
        FROM unnest($3::uuid[]) WITH ORDINALITY AS u (id, n)";
    for statement in [connections, conversations] {
        sqlx::query(statement)
            .bind(&identity.organization_id)
            .bind(Uuid::try_parse(&identity.id).unwrap())
            .bind(&ids)
            .execute(pool)
            .await
            .unwrap();
    }
}

/// Changes the newest allowed message of a conversation to one that the agent sent.
pub async fn agent_spoke_last(pool: &PgPool, conversation_id: &str) {
    sqlx::query("UPDATE conversations SET clear_latest_direction = 2 WHERE id = $1")
        .bind(Uuid::try_parse(conversation_id).unwrap())
        .execute(pool)
        .await
        .unwrap();
}
