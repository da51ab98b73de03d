-- The event log: what happened in conversations and connections, in commit order, for as long as it is kept.

CREATE TABLE event_logs (
    organization_id text   NOT NULL,
    last_sequence   bigint NOT NULL CONSTRAINT event_logs_last_sequence_positive CHECK (last_sequence > 0),
    CONSTRAINT event_logs_pkey PRIMARY KEY (organization_id)
) WITH (fillfactor = 10);
COMMENT ON TABLE event_logs IS 'Tenant. The head of each organization''s event log; a row exists from the first event on. A transaction that writes events updates the row last and keeps its lock until the commit, so that the order of the numbers is the order of the commits. The fill factor leaves room on the page, so that all updates stay heap-only.';
COMMENT ON COLUMN event_logs.organization_id IS 'The organization.';
COMMENT ON COLUMN event_logs.last_sequence IS 'Number of the newest event. Never decreases.';
COMMENT ON INDEX event_logs_pkey IS 'Serves every transaction that writes events, and readers that look for new ones.';

CREATE TABLE events (
    organization_id   text        NOT NULL,
    sequence          bigint      NOT NULL,
    id                uuid        NOT NULL,
    type              smallint    NOT NULL CONSTRAINT events_type_known CHECK (type BETWEEN 1 AND 9),
    occurred_at       timestamptz NOT NULL,
    agent_identity_id uuid        NOT NULL,
    conversation_id   uuid,
    connection_id     uuid,
    message_id        uuid,
    reaction_id       uuid,
    is_blocked        boolean     NOT NULL,
    status            smallint    CONSTRAINT events_status_known CHECK (status BETWEEN 1 AND 9),
    updated_count     integer,
    unread_count      integer,
    CONSTRAINT events_pkey PRIMARY KEY (organization_id, sequence)
);
COMMENT ON TABLE events IS 'Tenant. What happened, in commit order. An event refers to rows and has no content of its own, so that nothing has to be removed from it when those are redacted or deleted: an event whose conversation or connection no longer exists is not shown. Rows are deleted, the oldest first, when they are older than the retention of the log.';
COMMENT ON COLUMN events.organization_id IS 'The organization.';
COMMENT ON COLUMN events.sequence IS 'Numbers the events of an organization from 1 without gaps. Never shown to clients.';
COMMENT ON COLUMN events.id IS 'Random id by which consumers recognise an event that they get twice.';
COMMENT ON COLUMN events.type IS 'Number of the EventType in the contract.';
COMMENT ON COLUMN events.occurred_at IS 'When it was written, by the clock of the database. Never earlier than that of the event before.';
COMMENT ON COLUMN events.agent_identity_id IS 'The identity that it concerns.';
COMMENT ON COLUMN events.conversation_id IS 'The conversation; NULL for a connection of two who have none yet.';
COMMENT ON COLUMN events.connection_id IS 'The connection that began or ended; NULL for other types.';
COMMENT ON COLUMN events.message_id IS 'The message that was received or sent, or has the reaction; NULL for other types.';
COMMENT ON COLUMN events.reaction_id IS 'The reaction; NULL for other types.';
COMMENT ON COLUMN events.is_blocked IS 'Whether the message is blocked, so that identity keys do not see the event even after the message was deleted.';
COMMENT ON COLUMN events.status IS 'The status that the message took with this event, as messages.status; NULL for other types.';
COMMENT ON COLUMN events.updated_count IS 'How many messages turned read; NULL for other types.';
COMMENT ON COLUMN events.unread_count IS 'How many non-blocked messages were unread afterwards; NULL for other types.';
COMMENT ON INDEX events_pkey IS 'Serves readers, which take the events after a number, and the deletion of old ones.';

CREATE TABLE cursor_keys (
    id  smallint NOT NULL,
    key bytea    NOT NULL CONSTRAINT cursor_keys_key_length CHECK (octet_length(key) = 32),
    CONSTRAINT cursor_keys_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE cursor_keys IS 'Global. The key that seals event cursors, so that clients can neither read nor make them. One row, made when the first cursor is sealed; the same on every replica, and part of backups.';
COMMENT ON COLUMN cursor_keys.id IS 'Always 1.';
COMMENT ON COLUMN cursor_keys.key IS 'Key of XChaCha20-Poly1305: 32 random bytes.';
COMMENT ON INDEX cursor_keys_pkey IS 'Serves each process when it seals its first cursor.';
