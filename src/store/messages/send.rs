//! Outbound messages: written before the line is called, and again when its answer is known.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query;

use super::append::append;
use crate::domain::{
    ConnectionId, ConversationId, DeliveryStatus, IdempotencyKey, IdentityId, Media, MessageId,
    OrganizationId, PhoneNumber, SendStyle,
};
use crate::error::Error;
use crate::store::{Affects, Database, DbConnection, StoreError};

/// The window of the cap on sends.
const DAY: TimeDelta = TimeDelta::hours(24);

/// A message that is about to be sent.
#[derive(Debug, Clone)]
pub struct NewOutbound {
    /// Its owner.
    pub organization_id: OrganizationId,
    /// Its sender.
    pub identity_id: IdentityId,
    /// Its conversation.
    pub conversation_id: ConversationId,
    /// The connection it goes on, which must still be active.
    pub assignment_id: ConnectionId,
    /// The line of that connection.
    pub line_number: PhoneNumber,
    /// Its id.
    pub message_id: MessageId,
    /// Its text.
    pub text: Option<String>,
    /// Its file.
    pub media: Option<Media>,
    /// Its effect.
    pub send_style: Option<SendStyle>,
    /// The client's idempotency key, if it sent one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// How many messages the sender may send in 24 hours.
    pub per_day: Option<u32>,
    /// When the send began.
    pub now: DateTime<Utc>,
    /// How long after the claim the line's answer is written down at the latest, or its process died.
    pub longest: Duration,
}

/// What became of the intention to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The message is stored as pending, and is ours to send.
    Ours,
    /// Another request with the same idempotency key was faster. Nothing was stored.
    KeyTaken,
}

/// Stores the message as pending, with its idempotency key.
///
/// # Errors
/// `ConnectionReleased` when the connection ended meanwhile, `RateLimited`; nothing is stored then.
pub async fn claim(db: &Database, new: NewOutbound) -> Result<Claim, StoreError> {
    // The cap, the key and the message must agree: a refusal leaves all three as they were.
    db.transaction(
        Affects::organization(&new.organization_id),
        "transaction messages::send::claim",
        move |connection| {
            let new = new.clone();
            Box::pin(async move {
                // The key first: a message that was sent already is replayed, also where it was the last of the day.
                if let Some(key) = &new.idempotency_key
                    && !take_key(connection, &new, key).await?
                {
                    return Ok(Claim::KeyTaken);
                }
                if let Some(per_day) = new.per_day {
                    check_cap(connection, &new, per_day).await?;
                }
                append(connection, &new).await?;
                Ok(Claim::Ours)
            })
        },
    )
    .await
}

/// Counts what the line took or may have taken. Sends of one identity queue for its row, so that the cap is exact; at
/// a cap of so many a day that costs nothing.
async fn check_cap(connection: &mut DbConnection, new: &NewOutbound, per_day: u32) -> Result<(), StoreError> {
    query!(
        "SELECT id FROM identities WHERE organization_id = $1 AND id = $2 FOR NO KEY UPDATE",
        new.organization_id.as_str(),
        new.identity_id.uuid(),
    )
    .fetch_one(&mut *connection)
    .await?;
    let oldest_that_counts = query!(
        "SELECT created_at FROM messages
         WHERE organization_id = $1 AND agent_identity_id = $2 AND direction = 2 AND status <> 8 AND created_at > $3
         ORDER BY created_at DESC
         LIMIT 1 OFFSET $4",
        new.organization_id.as_str(),
        new.identity_id.uuid(),
        new.now - DAY,
        i64::from(per_day) - 1,
    )
    .fetch_optional(connection)
    .await?;
    match oldest_that_counts {
        None => Ok(()),
        Some(row) => {
            let retry_after = (row.created_at + DAY - new.now).to_std().unwrap_or_default();
            Err(Error::RateLimited { retry_after }.into())
        }
    }
}

async fn take_key(
    connection: &mut DbConnection,
    new: &NewOutbound,
    key: &IdempotencyKey,
) -> Result<bool, StoreError> {
    let taken = query!(
        "INSERT INTO idempotency_keys (organization_id, agent_identity_id, key, request_digest, message_id, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (organization_id, agent_identity_id, key) DO NOTHING",
        new.organization_id.as_str(),
        new.identity_id.uuid(),
        key.key,
        &key.request_digest[..],
        new.message_id.uuid(),
        new.now,
    )
    .execute(connection)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// What the line said.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It took the message.
    Accepted {
        /// Its id of it.
        provider_message_id: Option<String>,
    },
    /// It did not.
    Failed {
        /// Our code for why.
        code: String,
        /// Words for people.
        message: String,
    },
    /// Nothing: the message may or may not be on its way.
    Unknown,
}

/// An outcome as a message keeps it.
struct Answer<'a> {
    status: DeliveryStatus,
    provider_message_id: Option<&'a str>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
}

impl<'a> Answer<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let nothing = Self {
            status: DeliveryStatus::Pending,
            provider_message_id: None,
            error_code: None,
            error_message: None,
        };
        match outcome {
            Outcome::Accepted { provider_message_id } => Self {
                status: DeliveryStatus::Queued,
                provider_message_id: provider_message_id.as_deref(),
                ..nothing
            },
            Outcome::Failed { code, message } => Self {
                status: DeliveryStatus::Error,
                error_code: Some(code),
                error_message: Some(message),
                ..nothing
            },
            Outcome::Unknown => nothing,
        }
    }
}

/// Writes down what the line said of a message, and that the line is done with it.
pub async fn finish(
    db: &Database,
    new: &NewOutbound,
    outcome: Outcome,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let new = new.clone();
    // The message, what finds it for delivery news, and the key must agree.
    db.transaction(
        Affects::organization(&new.organization_id),
        "transaction messages::send::finish",
        move |connection| {
            let (new, outcome) = (new.clone(), outcome.clone());
            Box::pin(async move {
                let sent = Sent {
                    organization_id: &new.organization_id,
                    message_id: new.message_id,
                    line_number: &new.line_number,
                };
                sent.write_down(connection, &outcome, now).await?;
                if let Some(key) = &new.idempotency_key {
                    query!(
                        "UPDATE idempotency_keys SET finished = true
                     WHERE organization_id = $1 AND agent_identity_id = $2 AND key = $3",
                        new.organization_id.as_str(),
                        new.identity_id.uuid(),
                        key.key,
                    )
                    .execute(connection)
                    .await?;
                }
                Ok(())
            })
        },
    )
    .await
}

/// Writes down what the carrier knew of a message whose send got no answer. Changes nothing where it has one meanwhile.
pub async fn resolve(
    db: &Database,
    organization_id: &OrganizationId,
    message_id: MessageId,
    line_number: &PhoneNumber,
    outcome: Outcome,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (owner, line_number) = (organization_id.clone(), line_number.clone());
    // The message and what finds it for delivery news must agree.
    db.transaction(
        Affects::organization(organization_id),
        "transaction messages::send::resolve",
        move |connection| {
            let (organization_id, line_number) = (owner.clone(), line_number.clone());
            let outcome = outcome.clone();
            Box::pin(async move {
                let sent = Sent { organization_id: &organization_id, message_id, line_number: &line_number };
                sent.write_down(connection, &outcome, now).await
            })
        },
    )
    .await
}

/// A message that was handed to a line.
struct Sent<'a> {
    organization_id: &'a OrganizationId,
    message_id: MessageId,
    line_number: &'a PhoneNumber,
}

impl Sent<'_> {
    async fn write_down(
        &self,
        connection: &mut DbConnection,
        outcome: &Outcome,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let answer = Answer::of(outcome);
        query!(
            "UPDATE messages SET in_flight_until = NULL, status = $3, provider_message_id = $4, error_code = $5,
                                 error_message = $6, updated_at = CASE WHEN $3::smallint = 2 THEN updated_at ELSE $7 END
             WHERE organization_id = $1 AND id = $2 AND status = 2",
            self.organization_id.as_str(),
            self.message_id.uuid(),
            answer.status.number(),
            answer.provider_message_id,
            answer.error_code,
            answer.error_message,
            now,
        )
        .execute(&mut *connection)
        .await?;
        if let Some(provider_message_id) = answer.provider_message_id {
            query!(
                "INSERT INTO sent_messages (line_number, provider_message_id, organization_id, message_id,
                                            created_at)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT DO NOTHING",
                self.line_number.as_str(),
                provider_message_id,
                self.organization_id.as_str(),
                self.message_id.uuid(),
                now,
            )
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}
