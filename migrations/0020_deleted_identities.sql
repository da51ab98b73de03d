-- Identities can be deleted. Their keys stay listed as revoked, so that an audit finds who had access.

ALTER TABLE api_keys DROP CONSTRAINT api_keys_identity;
COMMENT ON COLUMN api_keys.agent_identity_id IS 'The only identity of an identity key. No foreign key: a revoked key outlives its identity. The statement that creates a key locks the identity.';
CREATE INDEX api_keys_of_identity ON api_keys (organization_id, agent_identity_id) WHERE revoked_at IS NULL;
COMMENT ON INDEX api_keys_of_identity IS 'Serves the revocation of the keys of an identity that is being deleted.';
