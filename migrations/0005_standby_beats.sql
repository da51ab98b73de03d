-- Beats: how a process sees how far a standby is.

CREATE TABLE standby_beats (
    process_id uuid        NOT NULL,
    beat       bigint      NOT NULL,
    beaten_at  timestamptz NOT NULL,
    CONSTRAINT standby_beats_pkey PRIMARY KEY (process_id)
);
COMMENT ON TABLE standby_beats IS 'Global. The newest beat of each process that reads from a standby. A process commits it on the primary and looks for it on the standby: once it is there, so is all that the process wrote before. Some rows; the dead ones are removed after a day by whoever starts.';
COMMENT ON COLUMN standby_beats.process_id IS 'Made up at the start of the process.';
COMMENT ON COLUMN standby_beats.beat IS 'Counts up.';
COMMENT ON COLUMN standby_beats.beaten_at IS 'When, by the database''s clock.';
COMMENT ON INDEX standby_beats_pkey IS 'Serves the beat and the look for it.';
