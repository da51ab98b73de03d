-- Retention and erasure: what is kept no longer than it may be.
--
-- Bodies are blanked where they stand, in the order in which they arrived, which is the order of the ids: the primary
-- keys of messages and reactions serve that as they are, and a row in retention_progress says how far it has come. So
-- storing a message costs no index more than before.
--
-- A conversation is discarded in one transaction, after which nobody can see it, and its messages are deleted in
-- batches afterwards. discarded_conversations is the list of what is still to be deleted: whoever is killed in the
-- middle of it, the next sweep goes on.

------------------------------------------------------------------------------------------------ global tables

CREATE TABLE discarded_conversations (
    organization_id text        NOT NULL,
    conversation_id uuid        NOT NULL,
    discarded_at    timestamptz NOT NULL,
    CONSTRAINT discarded_conversations_pkey PRIMARY KEY (organization_id, conversation_id)
);
COMMENT ON TABLE discarded_conversations IS 'Global. Conversations that are gone, while their messages are being deleted. Empty most of the time.';
COMMENT ON COLUMN discarded_conversations.organization_id IS 'Its organization.';
COMMENT ON COLUMN discarded_conversations.conversation_id IS 'The conversation, of which there is no row any more.';
COMMENT ON COLUMN discarded_conversations.discarded_at IS 'When it was discarded.';
COMMENT ON INDEX discarded_conversations_pkey IS 'Serves the deletion of their messages, by the sweeper and by erase.';

CREATE TABLE forgotten_texts (
    line_number         text        NOT NULL,
    provider_message_id text        NOT NULL,
    forgotten_at        timestamptz NOT NULL,
    CONSTRAINT forgotten_texts_pkey PRIMARY KEY (line_number, provider_message_id)
);
COMMENT ON TABLE forgotten_texts IS 'Global. Texts of the last week that were deleted, so that a redelivery does not bring them back: neither whose they were nor what they said. Swept after a week, as router_commands are.';
COMMENT ON COLUMN forgotten_texts.line_number IS 'Our line that the text came to.';
COMMENT ON COLUMN forgotten_texts.provider_message_id IS 'The carrier''s id of the text.';
COMMENT ON COLUMN forgotten_texts.forgotten_at IS 'When it was deleted.';
COMMENT ON INDEX forgotten_texts_pkey IS 'Serves the duplicate check of inbound texts.';
CREATE INDEX forgotten_texts_oldest ON forgotten_texts (forgotten_at);
COMMENT ON INDEX forgotten_texts_oldest IS 'Serves the weekly sweep.';

CREATE INDEX router_commands_of_connection ON router_commands (connection_id) WHERE connection_id IS NOT NULL;
COMMENT ON INDEX router_commands_of_connection IS 'Serves the discarding of connections: a command stays a duplicate, but names its connection no more.';

------------------------------------------------------------------------------------------------ tenant tables

CREATE TABLE retention_progress (
    organization_id text NOT NULL,
    messages_to     uuid NOT NULL,
    reactions_to    uuid NOT NULL,
    CONSTRAINT retention_progress_pkey PRIMARY KEY (organization_id),
    CONSTRAINT retention_progress_organization FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
COMMENT ON TABLE retention_progress IS 'Tenant. How far the blanking of bodies has come. A sweep locks the row for each batch, so that replicas take turns and none repeats what another did.';
COMMENT ON COLUMN retention_progress.organization_id IS 'Owner.';
COMMENT ON COLUMN retention_progress.messages_to IS 'Messages up to this id have been looked at.';
COMMENT ON COLUMN retention_progress.reactions_to IS 'Reactions up to this id have been looked at.';
COMMENT ON INDEX retention_progress_pkey IS 'Serves the sweep of bodies.';

CREATE INDEX connections_released ON connections (organization_id, released_at, id) WHERE released_at IS NOT NULL;
COMMENT ON INDEX connections_released IS 'Serves the sweep of released connections, oldest release first.';
CREATE INDEX connections_of_human ON connections (organization_id, remote_number, agent_identity_id);
COMMENT ON INDEX connections_of_human IS 'Serves the discarding of all connections of a pair, and erase, which looks for those of a human.';
CREATE INDEX idempotency_keys_of_message ON idempotency_keys (organization_id, message_id);
COMMENT ON INDEX idempotency_keys_of_message IS 'Serves the deletion of messages, with which their keys go.';
CREATE INDEX reactions_of_message ON reactions (organization_id, message_id);
COMMENT ON INDEX reactions_of_message IS 'Serves the deletion of messages: their reactions go first, and the foreign key is checked.';

ALTER TABLE reactions DROP CONSTRAINT reactions_custom;
ALTER TABLE reactions ADD CONSTRAINT reactions_custom CHECK (reaction = 8 OR custom_emoji IS NULL);
COMMENT ON COLUMN reactions.custom_emoji IS 'The emoji of a custom reaction; absent once its retention is over.';
COMMENT ON COLUMN messages.text IS 'The text, unchanged; absent when there is only media, or once its retention is over.';
COMMENT ON COLUMN messages.media IS 'Array of {url, content_type, size_bytes}; absent when there is none, or once its retention is over.';
COMMENT ON COLUMN conversations.clear_latest_text IS 'Its first 256 characters; absent when it has no text, or once its retention is over.';
COMMENT ON COLUMN conversations.clear_latest_has_media IS 'Whether it has media; false once its retention is over.';
COMMENT ON COLUMN conversations.blocked_latest_text IS 'Its first 256 characters; absent when it has no text, or once its retention is over.';
COMMENT ON COLUMN conversations.blocked_latest_has_media IS 'Whether it has media; false once its retention is over.';
