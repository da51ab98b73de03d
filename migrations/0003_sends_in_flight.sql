-- Sends that a line may still be busy with, for a release to wait for.

ALTER TABLE messages ADD COLUMN in_flight_until timestamptz;
COMMENT ON COLUMN messages.in_flight_until IS 'While the line has an outbound message and its answer is not written down: when that is over at the latest, since its process died then. Else absent.';
CREATE INDEX messages_in_flight ON messages (organization_id, assignment_id) WHERE in_flight_until IS NOT NULL;
COMMENT ON INDEX messages_in_flight IS 'Serves a release, which waits for the sends of its connection.';

ALTER TABLE conversations ADD COLUMN closing_until timestamptz;
COMMENT ON COLUMN conversations.closing_until IS 'While a release waits for the sends of its connection: no send is taken until then. Lapses where its process died; the release itself clears it.';
