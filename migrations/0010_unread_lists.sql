-- Lists of unread and of read messages whose cost follows the page, not the number of conversations.
--
-- An index on the read horizon would cost every mark its heap-only update. These two columns follow the horizon at a
-- distance: only statements that write indexed columns anyway, and the cleanup, raise them. Rows keep the defaults,
-- which are correct for any horizon; so do rows that the previous version writes during an upgrade.

ALTER TABLE conversations ADD COLUMN clear_settled integer NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN clear_settled_at timestamptz;
COMMENT ON COLUMN conversations.clear_settled IS 'The read horizon (clear_read) as of the newest non-blocked message or the last cleanup; never above it. A conversation with unread messages has clear_received > clear_settled; one with clear_received = clear_settled has none.';
COMMENT ON COLUMN conversations.clear_settled_at IS 'No message up to clear_settled is newer. NULL while clear_settled is 0.';

CREATE INDEX conversations_unread ON conversations (organization_id, clear_latest_at DESC, id DESC) WHERE clear_received > clear_settled;
COMMENT ON INDEX conversations_unread IS 'Serves ListMessages of unread messages over an organization, and the cleanup that raises clear_settled.';
CREATE INDEX conversations_unread_of_identity ON conversations (organization_id, agent_identity_id, clear_latest_at DESC, id DESC) WHERE clear_received > clear_settled;
COMMENT ON INDEX conversations_unread_of_identity IS 'Serves ListMessages of unread messages of one identity.';
CREATE INDEX messages_sent ON messages (organization_id, created_at DESC, id DESC) WHERE direction = 2 AND created_at > '-infinity';
COMMENT ON INDEX messages_sent IS 'Serves ListMessages of read messages over an organization: the outbound ones. Its condition keeps other lists off it.';
CREATE INDEX messages_sent_of_conversation ON messages (organization_id, conversation_id, created_at DESC, id DESC) WHERE direction = 2;
COMMENT ON INDEX messages_sent_of_conversation IS 'Serves ListMessages of read messages of one conversation: the outbound ones.';
