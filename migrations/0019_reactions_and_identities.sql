-- The time of the last change of a reaction, and what an agent does.
--
-- The previous version writes neither column. A reaction that it redacts keeps its earlier time.

ALTER TABLE reactions ADD COLUMN updated_at timestamptz;
COMMENT ON COLUMN reactions.updated_at IS 'When retention removed the emoji; NULL if it did not. The last change of the row is the latest of created_at, removed_at and this.';

ALTER TABLE identities ADD COLUMN description text;
ALTER TABLE identities ADD CONSTRAINT identities_description_length CHECK (char_length(description) BETWEEN 1 AND 1000) NOT VALID;
COMMENT ON COLUMN identities.description IS 'What the agent does, free text for people; NULL if there is none.';

COMMENT ON INDEX messages_pkey IS 'Serves GetMessage, reactions, and MarkConversationRead up to a message.';
