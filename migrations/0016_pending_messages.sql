-- Messages whose outcome is unknown, for the task that asks the carrier about them.

CREATE INDEX messages_pending ON messages (organization_id, created_at, id) WHERE status = 2;
COMMENT ON INDEX messages_pending IS 'Serves the reconciliation of pending messages. Small, since a message is pending for the time of its send only, unless its outcome stays unknown.';
