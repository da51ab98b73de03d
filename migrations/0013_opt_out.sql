-- Humans who have asked not to be texted any more. The previous version ignores the column: until its last replica is
-- gone, it neither sets it nor holds sends back.

ALTER TABLE conversations ADD COLUMN opted_out_at timestamptz;
COMMENT ON COLUMN conversations.opted_out_at IS 'Time of the newest text with which the human opted out (STOP), also if it was blocked; NULL if there is none, or if the human opted in later (START) or connected again. Set and cleared by the statement that stores the text, cleared by the connect command. While it is set, nothing but read receipts is sent.';
