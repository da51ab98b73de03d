-- Messages that humans edit or take back, replies to a message, and messages that a person sent by hand.

ALTER TABLE messages ADD COLUMN edited_at timestamptz;
ALTER TABLE messages ADD COLUMN retracted_at timestamptz;
ALTER TABLE messages ADD COLUMN original_text text;
ALTER TABLE messages ADD COLUMN reply_to_message_id uuid;
ALTER TABLE messages ADD COLUMN origin smallint NOT NULL DEFAULT 1;
-- NOT VALID: existing rows satisfy the constraints, so they need no scan under the table's exclusive lock.
ALTER TABLE messages ADD CONSTRAINT messages_original_text_length CHECK (char_length(original_text) <= 18996) NOT VALID;
ALTER TABLE messages ADD CONSTRAINT messages_origin_known CHECK (origin IN (1, 2)) NOT VALID;
ALTER TABLE messages ADD CONSTRAINT messages_revised_inbound CHECK (direction = 1 OR (edited_at IS NULL AND retracted_at IS NULL AND original_text IS NULL)) NOT VALID;
COMMENT ON COLUMN messages.edited_at IS 'When the human last edited the message, as the carrier reports it. NULL if never. An update with an earlier time changes nothing.';
COMMENT ON COLUMN messages.retracted_at IS 'When the human took the message back; text and media are NULL then, and nothing changes them any more. NULL if never.';
COMMENT ON COLUMN messages.original_text IS 'The text before the first edit, or before the message was taken back. Shown to admin keys only. NULL if there was none, if the message was not changed, or after retention.';
COMMENT ON COLUMN messages.reply_to_message_id IS 'The message of the same conversation that this one replies to. NULL if it is no reply, or if that message is not stored. No foreign key: both are deleted with their conversation.';
COMMENT ON COLUMN messages.origin IS 'MessageOrigin of an outbound message: 1 sent by this service, 2 sent by hand from the account of the line. 1 for inbound messages, where it has no meaning.';
