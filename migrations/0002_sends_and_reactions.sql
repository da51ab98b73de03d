-- Sends with idempotency keys, reactions, and delivery news.

------------------------------------------------------------------------------------------------ global tables

CREATE TABLE sent_messages (
    line_number         text        NOT NULL,
    provider_message_id text        NOT NULL,
    organization_id     text        NOT NULL,
    message_id          uuid        NOT NULL,
    created_at          timestamptz NOT NULL,
    CONSTRAINT sent_messages_pkey PRIMARY KEY (line_number, provider_message_id)
);
COMMENT ON TABLE sent_messages IS 'Global. Whose message a carrier speaks of in a delivery status, which names a line and no organization. Swept after a week: carriers have nothing to say by then.';
COMMENT ON COLUMN sent_messages.line_number IS 'The line it was sent from.';
COMMENT ON COLUMN sent_messages.provider_message_id IS 'The carrier''s id of the message.';
COMMENT ON COLUMN sent_messages.organization_id IS 'Its organization.';
COMMENT ON COLUMN sent_messages.message_id IS 'Row of messages.';
COMMENT ON COLUMN sent_messages.created_at IS 'When the carrier accepted it.';
COMMENT ON INDEX sent_messages_pkey IS 'Serves UpdateDeliveryStatus.';
CREATE INDEX sent_messages_oldest ON sent_messages (created_at);
COMMENT ON INDEX sent_messages_oldest IS 'Serves the weekly sweep.';
CREATE INDEX router_commands_oldest ON router_commands (created_at);
COMMENT ON INDEX router_commands_oldest IS 'Serves the weekly sweep.';

------------------------------------------------------------------------------------------------ tenant tables

CREATE TABLE idempotency_keys (
    organization_id   text        NOT NULL,
    agent_identity_id uuid        NOT NULL,
    key               text        NOT NULL,
    request_digest    bytea       NOT NULL CHECK (octet_length(request_digest) = 32),
    message_id        uuid        NOT NULL,
    created_at        timestamptz NOT NULL,
    finished          boolean     NOT NULL DEFAULT false,
    CONSTRAINT idempotency_keys_pkey PRIMARY KEY (organization_id, agent_identity_id, key)
);
COMMENT ON TABLE idempotency_keys IS 'Tenant. Sends that must not happen twice. Written in the transaction that writes the message, so a refusal before leaves the key free.';
COMMENT ON COLUMN idempotency_keys.organization_id IS 'Owner.';
COMMENT ON COLUMN idempotency_keys.agent_identity_id IS 'The sender; each has its own keys.';
COMMENT ON COLUMN idempotency_keys.key IS 'As the caller chose it.';
COMMENT ON COLUMN idempotency_keys.request_digest IS 'SHA-256 of what was asked for: another request under the same key is refused.';
COMMENT ON COLUMN idempotency_keys.message_id IS 'The message that the first request made.';
COMMENT ON COLUMN idempotency_keys.created_at IS 'When the first request began. Unfinished for longer than a line may take = its process died: the outcome is not known.';
COMMENT ON COLUMN idempotency_keys.finished IS 'Whether the first request has its answer, an unknown outcome included.';
COMMENT ON INDEX idempotency_keys_pkey IS 'Serves SendMessage with an idempotency key.';
CREATE INDEX idempotency_keys_oldest ON idempotency_keys (organization_id, created_at);
COMMENT ON INDEX idempotency_keys_oldest IS 'Serves the weekly sweep.';

CREATE INDEX messages_sent_of_identity ON messages (organization_id, agent_identity_id, created_at DESC) WHERE direction = 2;
COMMENT ON INDEX messages_sent_of_identity IS 'Serves the rolling cap on sends of an identity.';

CREATE TABLE reactions (
    organization_id text        NOT NULL,
    id              uuid        NOT NULL,
    message_id      uuid        NOT NULL,
    conversation_id uuid        NOT NULL,
    direction       smallint    NOT NULL CHECK (direction IN (1, 2)),
    reaction        smallint    NOT NULL CHECK (reaction BETWEEN 1 AND 8),
    custom_emoji    text,
    part_index      integer     NOT NULL CHECK (part_index >= 0),
    created_at      timestamptz NOT NULL,
    removed_at      timestamptz,
    CONSTRAINT reactions_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT reactions_message FOREIGN KEY (organization_id, message_id) REFERENCES messages (organization_id, id),
    CONSTRAINT reactions_custom CHECK ((reaction = 8) = (custom_emoji IS NOT NULL))
);
COMMENT ON TABLE reactions IS 'Tenant. Tapbacks, removed and replaced ones too.';
COMMENT ON COLUMN reactions.organization_id IS 'Owner.';
COMMENT ON COLUMN reactions.id IS 'Reaction id.';
COMMENT ON COLUMN reactions.message_id IS 'The message it is on.';
COMMENT ON COLUMN reactions.conversation_id IS 'Conversation of that message.';
COMMENT ON COLUMN reactions.direction IS 'MessageDirection of whoever reacted: 1 the human, 2 the agent.';
COMMENT ON COLUMN reactions.reaction IS 'ReactionType.';
COMMENT ON COLUMN reactions.custom_emoji IS 'The emoji of a custom reaction.';
COMMENT ON COLUMN reactions.part_index IS 'Which part of the message, from 0.';
COMMENT ON COLUMN reactions.created_at IS 'When it was put.';
COMMENT ON COLUMN reactions.removed_at IS 'When it was removed or replaced; absent while live.';
COMMENT ON INDEX reactions_pkey IS 'Serves RemoveReaction.';
CREATE UNIQUE INDEX reactions_one_live ON reactions (organization_id, message_id, direction, part_index) WHERE removed_at IS NULL;
COMMENT ON INDEX reactions_one_live IS 'One live reaction per side, message and part; serves the reactions of listed messages.';
