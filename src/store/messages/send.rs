//! Outbound messages: stored as pending before the carrier is called, and updated when its result is known.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::query;

use super::append::{Kind, Locked, NewMessage, append};
use crate::domain::{
    ConnectionId, ConversationId, DeliveryStatus, IdempotencyKey, IdentityId, Media, MessageId, NewEvent,
    OrganizationId, PhoneNumber, SendStyle, Transport,
};
use crate::error::Error;
use crate::store::{Affects, Database, DbConnection, OPERATION_LIMIT, StoreError};

/// The window of the limit on sends.
const DAY: TimeDelta = TimeDelta::hours(24);

/// A message that is about to be sent.
#[derive(Debug, Clone)]
pub struct NewOutbound {
    pub organization_id: OrganizationId,
    pub identity_id: IdentityId,
    pub conversation_id: ConversationId,
    /// Its connection, which must still be active.
    pub assignment_id: ConnectionId,
    /// The line of that connection.
    pub line_number: PhoneNumber,
    pub message_id: MessageId,
    pub text: Option<String>,
    pub media: Option<Media>,
    pub send_style: Option<SendStyle>,
    /// The message of the same conversation that it replies to.
    pub reply_to: Option<MessageId>,
    /// The client's idempotency key, if it sent one.
    pub idempotency_key: Option<IdempotencyKey>,
    /// How many messages the sender may send in 24 hours.
    pub per_day: Option<u32>,
    /// When the send began.
    pub now: DateTime<Utc>,
    /// How long after the reservation the carrier's result is recorded at the latest, unless the process died.
    pub longest: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The message is stored as pending, and the caller must send it.
    Acquired,
    /// Another request with the same idempotency key came first; nothing was stored.
    DuplicateKey,
    /// The human may not be reached any more, or a release waits for other sends; nothing was stored.
    Ineligible,
}

/// Stores the message as pending, with its idempotency key.
///
/// # Errors
/// `RateLimited`; nothing is stored then.
pub async fn reserve(db: &Database, new: NewOutbound) -> Result<Reservation, StoreError> {
    // The limit, the key and the message must agree: a refusal leaves all three unchanged.
    let reserved = db.transaction(
        Affects::organization(&new.organization_id),
        "transaction messages::send::claim",
        move |connection| {
            let new = new.clone();
            Box::pin(async move {
                // The key first: the result of an earlier request is replayed even if that used up the limit.
                if let Some(key) = &new.idempotency_key
                    && !insert_key(connection, &new, key).await?
                {
                    return Ok(Reservation::DuplicateKey);
                }
                if let Some(per_day) = new.per_day {
                    check_limit(connection, &new, per_day).await?;
                }
                append_outbound(connection, &new).await?;
                Ok(Reservation::Acquired)
            })
        },
    );
    match reserved.await {
        Err(StoreError::Refused(Error::ConnectionReleased)) => Ok(Reservation::Ineligible),
        reserved => reserved,
    }
}

/// In a transaction.
async fn append_outbound(connection: &mut DbConnection, new: &NewOutbound) -> Result<(), StoreError> {
    let message = NewMessage {
        conversation_id: new.conversation_id.uuid(),
        connection_id: new.assignment_id.uuid(),
        message_id: new.message_id.uuid(),
        line_number: new.line_number.as_str(),
        provider_message_id: None,
        is_blocked: false,
        text: new.text.as_deref(),
        media: new.media.as_ref().map(|file| serde_json::json!([file])),
        transport: Transport::IMessage,
        reply_to: new.reply_to.map(MessageId::uuid),
        created_at: new.now,
        updated_at: new.now,
        keyword: None,
    };
    let kind = Kind::Outbound {
        send_style: new.send_style,
        // The statement may wait for the lock of the conversation before the send begins.
        max_seconds: (new.longest + OPERATION_LIMIT).as_secs_f64(),
    };
    let appended = append(connection, &new.organization_id, kind, Locked::Wait, vec![message]).await?;
    if appended.is_empty() { Err(Error::ConnectionReleased.into()) } else { Ok(()) }
}

/// Counts the messages that the carrier accepted or may have accepted. Sends of one identity wait for the lock of its row,
/// so that the limit is exact; at the rate of a daily limit that costs nothing.
async fn check_limit(
    connection: &mut DbConnection,
    new: &NewOutbound,
    per_day: u32,
) -> Result<(), StoreError> {
    query!(
        "SELECT id FROM identities WHERE organization_id = $1 AND id = $2 FOR NO KEY UPDATE",
        new.organization_id.as_str(),
        new.identity_id.uuid(),
    )
    .fetch_one(&mut *connection)
    .await?;
    let oldest_counted = query!(
        "SELECT created_at FROM messages
         WHERE organization_id = $1 AND agent_identity_id = $2 AND direction = 2 AND origin = 1 AND status <> 8
           AND created_at > $3
         ORDER BY created_at DESC
         LIMIT 1 OFFSET $4",
        new.organization_id.as_str(),
        new.identity_id.uuid(),
        new.now - DAY,
        i64::from(per_day) - 1,
    )
    .fetch_optional(connection)
    .await?;
    match oldest_counted {
        None => Ok(()),
        Some(row) => {
            let retry_after = (row.created_at + DAY - new.now).to_std().unwrap_or_default();
            Err(Error::RateLimited { retry_after }.into())
        }
    }
}

async fn insert_key(
    connection: &mut DbConnection,
    new: &NewOutbound,
    key: &IdempotencyKey,
) -> Result<bool, StoreError> {
    let inserted = query!(
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
    Ok(inserted.rows_affected() == 1)
}

/// The result of handing a message to the carrier.
#[derive(Debug, Clone)]
pub enum Outcome {
    Accepted {
        provider_message_id: Option<String>,
    },
    Failed {
        code: String,
        message: String,
    },
    /// No answer: the message may or may not have been sent.
    Unknown,
}

/// The columns in which a message keeps its outcome.
struct ResultColumns<'a> {
    status: DeliveryStatus,
    provider_message_id: Option<&'a str>,
    error_code: Option<&'a str>,
    error_message: Option<&'a str>,
}

impl<'a> ResultColumns<'a> {
    fn of(outcome: &'a Outcome) -> Self {
        let unknown = Self {
            status: DeliveryStatus::Pending,
            provider_message_id: None,
            error_code: None,
            error_message: None,
        };
        match outcome {
            Outcome::Accepted { provider_message_id } => Self {
                status: DeliveryStatus::Queued,
                provider_message_id: provider_message_id.as_deref(),
                ..unknown
            },
            Outcome::Failed { code, message } => Self {
                status: DeliveryStatus::Error,
                error_code: Some(code),
                error_message: Some(message),
                ..unknown
            },
            Outcome::Unknown => unknown,
        }
    }
}

/// Records the carrier's result of a message, and that the send is no longer in flight.
pub async fn record_result(
    db: &Database,
    new: &NewOutbound,
    outcome: Outcome,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let new = new.clone();
    // The message, the entry that finds it for delivery updates, and the key must agree.
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
                sent.record(connection, &outcome, now).await?;
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

/// Records what the carrier knows of a message whose send got no answer. Changes nothing if a result is recorded already.
pub async fn record_lookup(
    db: &Database,
    organization_id: &OrganizationId,
    message_id: MessageId,
    line_number: &PhoneNumber,
    outcome: Outcome,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (owner, line_number) = (organization_id.clone(), line_number.clone());
    // The message and the entry that finds it for delivery updates must agree.
    db.transaction(
        Affects::organization(organization_id),
        "transaction messages::send::resolve",
        move |connection| {
            let (organization_id, line_number) = (owner.clone(), line_number.clone());
            let outcome = outcome.clone();
            Box::pin(async move {
                let sent = Sent { organization_id: &organization_id, message_id, line_number: &line_number };
                sent.record(connection, &outcome, now).await
            })
        },
    )
    .await
}

/// A message that was handed to a carrier.
struct Sent<'a> {
    organization_id: &'a OrganizationId,
    message_id: MessageId,
    line_number: &'a PhoneNumber,
}

impl Sent<'_> {
    async fn record(
        &self,
        connection: &mut DbConnection,
        outcome: &Outcome,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let columns = ResultColumns::of(outcome);
        let updated = query!(
            "UPDATE messages SET in_flight_until = NULL, status = $3, provider_message_id = $4, error_code = $5,
                                 error_message = $6, updated_at = CASE WHEN $3::smallint = 2 THEN updated_at ELSE $7 END
             WHERE organization_id = $1 AND id = $2 AND status = 2
             RETURNING agent_identity_id, conversation_id",
            self.organization_id.as_str(),
            self.message_id.uuid(),
            columns.status.number(),
            columns.provider_message_id,
            columns.error_code,
            columns.error_message,
            now,
        )
        .fetch_optional(&mut *connection)
        .await?;
        // Another attempt may have recorded the result, or retention deleted the message.
        let Some(updated) = updated else { return Ok(()) };
        let event = NewEvent::of_status(
            updated.agent_identity_id.into(),
            updated.conversation_id.into(),
            self.message_id,
            DeliveryStatus::Pending,
            columns.status,
        );
        if let Some(event) = event {
            connection.log_event(self.organization_id, event)?;
        }
        if let Some(provider_message_id) = columns.provider_message_id {
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
