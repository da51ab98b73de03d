-- Files that a carrier delivers after their message, and the chats in which humans write.

-- A global table, since the organization is found from line and human when the files arrive.
CREATE TABLE awaited_files (
    remote_number       text        NOT NULL CONSTRAINT awaited_files_remote_number_length CHECK (char_length(remote_number) <= 16),
    line_number         text        NOT NULL,
    provider_message_id text        NOT NULL CONSTRAINT awaited_files_provider_message_id_length CHECK (char_length(provider_message_id) <= 255),
    carrier_chat        text        CONSTRAINT awaited_files_carrier_chat_length CHECK (char_length(carrier_chat) <= 255),
    created_at          timestamptz NOT NULL,
    CONSTRAINT awaited_files_pkey PRIMARY KEY (remote_number, line_number, provider_message_id)
);
COMMENT ON TABLE awaited_files IS 'Global. Messages of connected humans, never of a group, that arrived without text and files. Their files follow under the same provider message id, in a delivery that does not name the chat; a row is the evidence that the message may be stored then. Deleted after a day, or with the human''s connections.';
COMMENT ON COLUMN awaited_files.remote_number IS 'Number of the human. A delivery that names another sender does not match.';
COMMENT ON COLUMN awaited_files.line_number IS 'The line that received the message.';
COMMENT ON COLUMN awaited_files.provider_message_id IS 'The carrier''s id of the message.';
COMMENT ON COLUMN awaited_files.carrier_chat IS 'As connections.carrier_chat. NULL if the carrier did not name a chat.';
COMMENT ON COLUMN awaited_files.created_at IS 'When the empty message arrived.';
COMMENT ON INDEX awaited_files_pkey IS 'Serves the lookup of an empty message when its files arrive, and the deletion with the human''s connections.';
CREATE INDEX awaited_files_oldest ON awaited_files (created_at);
COMMENT ON INDEX awaited_files_oldest IS 'Serves the cleanup of expired rows.';

ALTER TABLE connections ADD COLUMN carrier_chat text;
ALTER TABLE connections ADD CONSTRAINT connections_carrier_chat_length CHECK (char_length(carrier_chat) <= 255) NOT VALID;
COMMENT ON COLUMN connections.carrier_chat IS 'The carrier''s id of the chat in which the newest text of the human arrived, such as SMS;-;+12025550147 at BlueBubbles. Calls on the human''s phone name this chat. NULL before such a text, and for carriers that address humans by number.';
