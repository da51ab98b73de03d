-- A text whose carrier does not state its transport is stored as unspecified (0), as message_service.proto promises.
-- Until now it was stored as iMessage (1); existing rows keep that value.

ALTER TABLE messages DROP CONSTRAINT messages_transport_check;
-- NOT VALID: existing rows already satisfy the stricter check that this one replaces, so they need no scan under the
-- table's exclusive lock. New and updated rows are checked.
ALTER TABLE messages ADD CONSTRAINT messages_transport_check CHECK (transport BETWEEN 0 AND 3) NOT VALID;
COMMENT ON COLUMN messages.transport IS 'MessageTransport: 0 unspecified, 1 iMessage, 2 SMS, 3 RCS.';
