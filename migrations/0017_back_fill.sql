-- Up to when the messages of a line were fetched from its carrier, beside what webhooks deliver.

ALTER TABLE lines ADD COLUMN back_filled_to timestamptz;
COMMENT ON COLUMN lines.back_filled_to IS 'Everything that the carrier received before is stored, as far as the carrier lists it. Moved by the task that fetches messages, after what it fetched was committed. NULL before the first time: then created_at stands for it.';
ALTER TABLE lines ADD COLUMN back_fill_holder uuid;
COMMENT ON COLUMN lines.back_fill_holder IS 'The run that fetches the messages of this line. NULL if there is none.';
ALTER TABLE lines ADD COLUMN back_fill_until timestamptz;
COMMENT ON COLUMN lines.back_fill_until IS 'When back_fill_holder loses the line to another run, unless it extends the time. NULL if there is no holder.';
