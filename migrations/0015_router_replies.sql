-- Replies of the router line, stored with their command, so that a crash between the two loses none.

CREATE TABLE router_replies (
    line_number         text        NOT NULL,
    provider_message_id text        NOT NULL,
    remote_number       text        NOT NULL CONSTRAINT router_replies_remote_number_length CHECK (char_length(remote_number) <= 16),
    carrier_chat        text        CONSTRAINT router_replies_carrier_chat_length CHECK (char_length(carrier_chat) <= 255),
    reply               text        NOT NULL CONSTRAINT router_replies_reply_length CHECK (char_length(reply) <= 20000),
    is_help             boolean     NOT NULL,
    created_at          timestamptz NOT NULL,
    due_at              timestamptz,
    CONSTRAINT router_replies_pkey PRIMARY KEY (line_number, provider_message_id)
);
COMMENT ON TABLE router_replies IS 'Global. What the router line replies to a command that came by a webhook. Rows are deleted after ten minutes, sent or not: a later reply would confuse.';
COMMENT ON COLUMN router_replies.line_number IS 'The router line.';
COMMENT ON COLUMN router_replies.provider_message_id IS 'The carrier''s id of the command.';
COMMENT ON COLUMN router_replies.remote_number IS 'Number of the human.';
COMMENT ON COLUMN router_replies.carrier_chat IS 'As connections.carrier_chat.';
COMMENT ON COLUMN router_replies.reply IS 'The text.';
COMMENT ON COLUMN router_replies.is_help IS 'Whether it answers a text that is no command. Such a reply is given to a human at most once in five minutes, so that two machines that answer each other stop.';
COMMENT ON COLUMN router_replies.created_at IS 'When the command was executed.';
COMMENT ON COLUMN router_replies.due_at IS 'When it is to be sent next; moved on by the process that sends it, for as long as that may take. NULL once it was sent, or may have been.';
COMMENT ON INDEX router_replies_pkey IS 'Serves what a process records after it has sent a reply.';
CREATE INDEX router_replies_due ON router_replies (due_at) WHERE due_at IS NOT NULL;
COMMENT ON INDEX router_replies_due IS 'Serves the task that sends what a crash or an outage left over.';
CREATE INDEX router_replies_oldest ON router_replies (created_at);
COMMENT ON INDEX router_replies_oldest IS 'Serves the deletion of old rows.';
CREATE INDEX router_replies_of_human ON router_replies (remote_number, line_number, created_at) WHERE is_help;
COMMENT ON INDEX router_replies_of_human IS 'Serves the limit on help to one human.';
