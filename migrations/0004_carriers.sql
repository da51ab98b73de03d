-- Several carriers side by side.

ALTER TABLE lines ADD COLUMN carrier smallint NOT NULL DEFAULT 1 CHECK (carrier IN (1, 2, 3));
COMMENT ON COLUMN lines.carrier IS 'Who takes what we send from it to the phones: 1 sandbox, 2 Sendblue, 3 BlueBubbles. Never changes, so that it can be remembered.';
