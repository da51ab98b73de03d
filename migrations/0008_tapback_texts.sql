-- Tapbacks that come as text, such as `Loved "see you at eight"`.

CREATE TABLE tapback_texts (
    line_number         text        NOT NULL,
    provider_message_id text        NOT NULL,
    created_at          timestamptz NOT NULL,
    CONSTRAINT tapback_texts_pkey PRIMARY KEY (line_number, provider_message_id)
);
COMMENT ON TABLE tapback_texts IS 'Global. Texts that were taken as tapbacks and so are in no conversation: a redelivery changes nothing, not even where the human has moved to another organization meanwhile. Swept after a week.';
COMMENT ON COLUMN tapback_texts.line_number IS 'The line.';
COMMENT ON COLUMN tapback_texts.provider_message_id IS 'The carrier''s id of the text.';
COMMENT ON COLUMN tapback_texts.created_at IS 'When it came.';
COMMENT ON INDEX tapback_texts_pkey IS 'Serves the duplicate check of tapbacks that come as text.';
CREATE INDEX tapback_texts_oldest ON tapback_texts (created_at);
COMMENT ON INDEX tapback_texts_oldest IS 'Serves the weekly sweep.';
