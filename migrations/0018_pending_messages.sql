-- Messages whose outcome is unknown: delivery updates that arrive before the carrier's id of their message is stored, and
-- the look-ups at the carrier.

CREATE TABLE early_statuses (
    line_number         text        NOT NULL CONSTRAINT early_statuses_line_number_length CHECK (char_length(line_number) <= 16),
    provider_message_id text        NOT NULL CONSTRAINT early_statuses_provider_message_id_length CHECK (char_length(provider_message_id) <= 255),
    status              smallint    NOT NULL CONSTRAINT early_statuses_status_known CHECK (status BETWEEN 1 AND 10),
    was_downgraded      boolean     NOT NULL,
    error_code          text        CONSTRAINT early_statuses_error_code_length CHECK (char_length(error_code) <= 1000),
    error_message       text        CONSTRAINT early_statuses_error_message_length CHECK (char_length(error_message) <= 1000),
    created_at          timestamptz NOT NULL,
    CONSTRAINT early_statuses_pkey PRIMARY KEY (line_number, provider_message_id, status)
);
COMMENT ON TABLE early_statuses IS 'Global. Delivery updates of messages whose send had not recorded the carrier''s id when they arrived. The send applies them. At most 10000, deleted after an hour.';
COMMENT ON COLUMN early_statuses.line_number IS 'The line that sent the message.';
COMMENT ON COLUMN early_statuses.provider_message_id IS 'The carrier''s id of the message.';
COMMENT ON COLUMN early_statuses.status IS 'As messages.status.';
COMMENT ON COLUMN early_statuses.was_downgraded IS 'As messages.was_downgraded.';
COMMENT ON COLUMN early_statuses.error_code IS 'As messages.error_code.';
COMMENT ON COLUMN early_statuses.error_message IS 'As messages.error_message.';
COMMENT ON COLUMN early_statuses.created_at IS 'When the update arrived.';
COMMENT ON INDEX early_statuses_pkey IS 'Serves the send, which looks for the updates of its message.';
CREATE INDEX early_statuses_oldest ON early_statuses (created_at);
COMMENT ON INDEX early_statuses_oldest IS 'Serves the cleanup of expired rows.';

ALTER TABLE messages ADD COLUMN look_up_at timestamptz;
COMMENT ON COLUMN messages.look_up_at IS 'When the carrier is to be asked next about an outbound message whose outcome is unknown; moved on by the process that asks. NULL if it was not asked in the background.';

COMMENT ON COLUMN router_replies.is_help IS 'Whether the reply is limited, because it answers no valid command: help, or a refusal. The same limited text is given to a human at most once in five minutes, so that two machines that answer each other stop.';
COMMENT ON INDEX router_replies_of_human IS 'Serves the limit on help and refusals to one human.';
