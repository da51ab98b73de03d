//! Writing events: the last statements of the transaction that makes a change.
//!
//! The head of an organization's log is locked from here to the commit, so that events are numbered in the order of their
//! commits. Nothing else is locked afterwards, so that this never causes a deadlock.

use std::collections::BTreeMap;

use rand::RngExt as _;
use sqlx::{Executor, Postgres, query};
use uuid::{Builder, Uuid};

use crate::domain::{DeliveryStatus, NewEvent, OrganizationId, Subject};

/// Events that a transaction has collected.
#[derive(Debug, Default)]
pub(super) struct CollectedEvents {
    /// Ordered, since transactions that write to the logs of several organizations must lock them in one order.
    by_organization: BTreeMap<String, Vec<NewEvent>>,
}

/// The number of the newest event of an organization.
#[derive(Debug, Clone)]
pub(super) struct LogHead {
    pub(super) organization_id: OrganizationId,
    pub(super) last_sequence: i64,
}

impl CollectedEvents {
    pub(super) fn add(&mut self, organization_id: &OrganizationId, event: NewEvent) {
        self.by_organization.entry(organization_id.as_str().to_owned()).or_default().push(event);
    }

    /// Writes the events, and returns the new heads of the logs. `is_distributed` says whether the statements may change
    /// one table only.
    pub(super) async fn write<C>(self, connection: &mut C, is_distributed: bool) -> sqlx::Result<Vec<LogHead>>
    where
        for<'c> &'c mut C: Executor<'c, Database = Postgres>,
    {
        let mut heads = Vec::with_capacity(self.by_organization.len());
        for (organization_id, events) in self.by_organization {
            let columns = EventColumns::of(&organization_id, &events);
            let last_sequence = if is_distributed {
                columns.write_in_two_steps(connection).await?
            } else {
                columns.write(connection).await?
            };
            heads.push(LogHead { organization_id: organization_id.into(), last_sequence });
        }
        Ok(heads)
    }
}

/// The parameters of the statements, by column.
struct EventColumns<'a> {
    organization_id: &'a str,
    count: i64,
    types: Vec<i16>,
    identities: Vec<Uuid>,
    conversations: Vec<Option<Uuid>>,
    connections: Vec<Option<Uuid>>,
    messages: Vec<Option<Uuid>>,
    reactions: Vec<Option<Uuid>>,
    are_blocked: Vec<bool>,
    statuses: Vec<Option<i16>>,
    updated: Vec<Option<i32>>,
    unread: Vec<Option<i32>>,
}

impl<'a> EventColumns<'a> {
    fn of(organization_id: &'a str, events: &[NewEvent]) -> Self {
        let mut columns = Self {
            organization_id,
            count: i64::try_from(events.len()).unwrap_or(i64::MAX),
            types: events.iter().map(|event| event.event_type.number()).collect(),
            identities: events.iter().map(|event| event.identity_id).collect(),
            conversations: events.iter().map(|event| event.conversation_id).collect(),
            connections: vec![None; events.len()],
            messages: vec![None; events.len()],
            reactions: vec![None; events.len()],
            are_blocked: vec![false; events.len()],
            statuses: vec![None; events.len()],
            updated: vec![None; events.len()],
            unread: vec![None; events.len()],
        };
        for (i, event) in events.iter().enumerate() {
            match event.subject {
                Subject::Message { id, is_blocked, status } => {
                    columns.messages[i] = Some(id);
                    columns.are_blocked[i] = is_blocked;
                    columns.statuses[i] = status.map(DeliveryStatus::number);
                }
                Subject::Reaction { id, message_id, is_blocked } => {
                    columns.reactions[i] = Some(id);
                    columns.messages[i] = Some(message_id);
                    columns.are_blocked[i] = is_blocked;
                }
                Subject::Connection(id) => columns.connections[i] = Some(id),
                Subject::Read { updated, unread } => {
                    columns.updated[i] = Some(updated);
                    columns.unread[i] = Some(unread);
                }
            }
        }
        columns
    }

    async fn write<C>(&self, connection: &mut C) -> sqlx::Result<i64>
    where
        for<'c> &'c mut C: Executor<'c, Database = Postgres>,
    {
        let head = query!(
            r#"WITH head AS (
                   INSERT INTO event_logs (organization_id, last_sequence) VALUES ($1, $2)
                   ON CONFLICT (organization_id)
                   DO UPDATE SET last_sequence = event_logs.last_sequence + excluded.last_sequence
                   RETURNING last_sequence),
               written AS (
                   INSERT INTO events (organization_id, sequence, id, type, occurred_at, agent_identity_id,
                                       conversation_id, connection_id, message_id, reaction_id, is_blocked, status,
                                       updated_count, unread_count)
                   SELECT $1, head.last_sequence - $2 + n.number, gen_random_uuid(), n.type, clock_timestamp(),
                          n.agent_identity_id, n.conversation_id, n.connection_id, n.message_id, n.reaction_id,
                          n.is_blocked, n.status, n.updated_count, n.unread_count
                   FROM head, unnest($3::smallint[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[],
                                     $9::boolean[], $10::smallint[], $11::integer[], $12::integer[])
                        WITH ORDINALITY n (type, agent_identity_id, conversation_id, connection_id, message_id,
                                           reaction_id, is_blocked, status, updated_count, unread_count, number))
               SELECT last_sequence AS "last_sequence!" FROM head"#,
            self.organization_id,
            self.count,
            &self.types,
            &self.identities,
            &self.conversations as &[Option<Uuid>],
            &self.connections as &[Option<Uuid>],
            &self.messages as &[Option<Uuid>],
            &self.reactions as &[Option<Uuid>],
            &self.are_blocked,
            &self.statuses as &[Option<i16>],
            &self.updated as &[Option<i32>],
            &self.unread as &[Option<i32>],
        )
        .fetch_one(connection)
        .await?;
        Ok(head.last_sequence)
    }

    /// The same on a database with Citus.
    async fn write_in_two_steps<C>(&self, connection: &mut C) -> sqlx::Result<i64>
    where
        for<'c> &'c mut C: Executor<'c, Database = Postgres>,
    {
        let head = query!(
            "INSERT INTO event_logs (organization_id, last_sequence) VALUES ($1, $2)
             ON CONFLICT (organization_id) DO UPDATE SET last_sequence = event_logs.last_sequence + excluded.last_sequence
             RETURNING last_sequence",
            self.organization_id,
            self.count,
        )
        .fetch_one(&mut *connection)
        .await?;
        // Times and ids are parameters, since each node has its own answer to what is computed there.
        let clock = query!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(&mut *connection).await?;
        for i in 0..self.types.len() {
            let number = i64::try_from(i).unwrap_or(i64::MAX);
            query!(
                "INSERT INTO events (organization_id, sequence, id, type, occurred_at, agent_identity_id,
                                     conversation_id, connection_id, message_id, reaction_id, is_blocked, status,
                                     updated_count, unread_count)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
                self.organization_id,
                head.last_sequence - self.count + number + 1,
                Builder::from_random_bytes(rand::rng().random()).into_uuid(),
                self.types[i],
                clock.now,
                self.identities[i],
                self.conversations[i],
                self.connections[i],
                self.messages[i],
                self.reactions[i],
                self.are_blocked[i],
                self.statuses[i],
                self.updated[i],
                self.unread[i],
            )
            .execute(&mut *connection)
            .await?;
        }
        Ok(head.last_sequence)
    }
}
