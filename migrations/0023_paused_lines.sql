-- Lines that take no new connections. The previous version ignores the column: until its last replica is gone, it may still
-- choose a paused line for a connection.

ALTER TABLE lines ADD COLUMN paused_at timestamptz;
COMMENT ON COLUMN lines.paused_at IS 'Since when the line is chosen for no new connection; NULL if it is. Set and cleared by the commands line pause and line resume, for pool lines only. Existing connections go on.';
COMMENT ON COLUMN lines.carrier IS 'Who takes what we send from it to the phones: 1 sandbox, 2 Sendblue, 3 BlueBubbles. Changes only if the line is removed and added again, so that it can be remembered for a minute.';
