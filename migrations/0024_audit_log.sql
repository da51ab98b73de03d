-- Who changed what: identities, API keys, contact rules, connections, lines and erasures, by API keys and by operators.

CREATE TABLE audit_log (
    organization_id text        NOT NULL,
    occurred_at     timestamptz NOT NULL,
    id              uuid        NOT NULL,
    api_key_id      uuid,
    operator        text,
    action          text        NOT NULL,
    subject         text        NOT NULL,
    detail          text        NOT NULL,
    CONSTRAINT audit_log_pkey PRIMARY KEY (organization_id, occurred_at, id),
    CONSTRAINT audit_log_one_actor CHECK ((api_key_id IS NULL) <> (operator IS NULL))
);
COMMENT ON TABLE audit_log IS 'Tenant. The changes that API keys and operators made, each written by the transaction that made it. Has no secrets, no texts and no numbers of humans, so that an erasure leaves it as it is. Rows are deleted when they are older than the retention of the log.';
COMMENT ON COLUMN audit_log.organization_id IS 'The organization that the change concerns; empty for lines and router keys, which belong to none. No foreign key: an entry outlives what it is about.';
COMMENT ON COLUMN audit_log.occurred_at IS 'When it was written, by the clock of the database.';
COMMENT ON COLUMN audit_log.id IS 'Random.';
COMMENT ON COLUMN audit_log.api_key_id IS 'The key of the call that made the change. NULL if an operator made it.';
COMMENT ON COLUMN audit_log.operator IS 'The account on the machine of the operator who made the change with a command. NULL if a call made it.';
COMMENT ON COLUMN audit_log.action IS 'What was done, such as contact_rule.create.';
COMMENT ON COLUMN audit_log.subject IS 'Id of what was changed, or the number of a line.';
COMMENT ON COLUMN audit_log.detail IS 'What was set, for people. Empty if the action says it.';
COMMENT ON INDEX audit_log_pkey IS 'Serves the list of an organization, which is in this order, and the deletion of old entries.';
