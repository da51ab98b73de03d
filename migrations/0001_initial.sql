-- The state of inkbox-imessage.
--
-- Two kinds of table. A tenant table belongs to organizations: its primary key, unique keys and foreign keys
-- begin with organization_id, and every query on one names it, so that the same schema can be distributed by
-- organization. A global table is what must be found before the organization is known; each is small.
--
-- The planner takes organization and identity for independent of each other, so it expects one row where a large
-- identity has thousands, and any index that begins with the two looks to it as good as any other. Two things keep it
-- from looking up one human by walking the list of an identity, and from sorting where it could walk a list: the unique
-- keys of a pair have the human before the identity, and the list of an identity ends in "> '-infinity'", which
-- every row fulfils, but which an index is only used for when the query says the same.
--
-- No triggers, no sequences, no logic: the service writes, the database keeps.
--
-- Small numbers stand for the enum values of proto/inkbox/imessage/v1 (the number here is the number there).
-- Every time is UTC with microseconds. Every uuid is version 7, so ids sort by the time they were made.

------------------------------------------------------------------------------------------------ global tables

CREATE TABLE organizations (
    id         text        NOT NULL CHECK (char_length(id) BETWEEN 1 AND 255),
    created_at timestamptz NOT NULL,
    CONSTRAINT organizations_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE organizations IS 'Global. The tenants. Nothing of one is ever visible to another.';
COMMENT ON COLUMN organizations.id IS 'Opaque text given by the operator, such as org_acme; never parsed.';
COMMENT ON COLUMN organizations.created_at IS 'When the operator made it.';
COMMENT ON INDEX organizations_pkey IS 'Serves the existence check of org create and key create.';

CREATE TABLE handles (
    handle            text NOT NULL,
    organization_id   text NOT NULL,
    agent_identity_id uuid NOT NULL,
    CONSTRAINT handles_pkey PRIMARY KEY (handle)
);
COMMENT ON TABLE handles IS 'Global. Which identity a handle means; makes handles unique platform-wide.';
COMMENT ON COLUMN handles.handle IS 'The handle in lower case, without @.';
COMMENT ON COLUMN handles.organization_id IS 'Organization of the identity.';
COMMENT ON COLUMN handles.agent_identity_id IS 'The identity. No foreign key: it lives with its organization.';
COMMENT ON INDEX handles_pkey IS 'Serves connect and disconnect on the router line, and the uniqueness of CreateIdentity.';

CREATE TABLE key_digests (
    digest            bytea       NOT NULL CHECK (octet_length(digest) = 32),
    api_key_id        uuid        NOT NULL,
    scope             smallint    NOT NULL CHECK (scope BETWEEN 1 AND 3),
    organization_id   text,
    agent_identity_id uuid,
    expires_at        timestamptz,
    CONSTRAINT key_digests_pkey PRIMARY KEY (digest),
    CONSTRAINT key_digests_owner CHECK ((scope = 3) = (organization_id IS NULL)
                                    AND (scope = 2) = (agent_identity_id IS NOT NULL))
);
COMMENT ON TABLE key_digests IS 'Global. What a presented secret means. A row is a key that works: revoking deletes it.';
COMMENT ON COLUMN key_digests.digest IS 'SHA-256 of the secret. The secret itself is nowhere.';
COMMENT ON COLUMN key_digests.api_key_id IS 'Row of api_keys, or of router_keys for scope 3.';
COMMENT ON COLUMN key_digests.scope IS 'ApiKeyScope: 1 admin, 2 identity, 3 router.';
COMMENT ON COLUMN key_digests.organization_id IS 'The organization the key acts in; absent for router keys.';
COMMENT ON COLUMN key_digests.agent_identity_id IS 'The only identity of an identity key.';
COMMENT ON COLUMN key_digests.expires_at IS 'From this moment the key is refused; absent = never.';
COMMENT ON INDEX key_digests_pkey IS 'Serves the authentication of a call whose key is not cached.';
CREATE UNIQUE INDEX key_digests_by_key ON key_digests (api_key_id);
COMMENT ON INDEX key_digests_by_key IS 'One secret a key; serves RevokeApiKey and key revoke.';

CREATE TABLE router_keys (
    id             uuid        NOT NULL,
    label          text        NOT NULL,
    display_prefix text        NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz,
    revoked_at     timestamptz,
    last_used_at   timestamptz,
    CONSTRAINT router_keys_pkey PRIMARY KEY (id)
);
COMMENT ON TABLE router_keys IS 'Global. Keys of the lines'' side, which belong to no organization.';
COMMENT ON COLUMN router_keys.id IS 'Key id, as key revoke takes it.';
COMMENT ON COLUMN router_keys.label IS 'Free text for people.';
COMMENT ON COLUMN router_keys.display_prefix IS 'First characters of the secret: enough to recognise it, never enough to use it.';
COMMENT ON COLUMN router_keys.created_at IS 'When it was minted.';
COMMENT ON COLUMN router_keys.expires_at IS 'Copied to key_digests, which decides.';
COMMENT ON COLUMN router_keys.revoked_at IS 'When it was revoked; absent while it works.';
COMMENT ON COLUMN router_keys.last_used_at IS 'Last use, to the minute, written in batches.';
COMMENT ON INDEX router_keys_pkey IS 'Serves WhoAmI, key revoke and the batched write of last_used_at.';

CREATE TABLE key_epoch (
    singleton boolean NOT NULL DEFAULT true CHECK (singleton),
    epoch     bigint  NOT NULL,
    CONSTRAINT key_epoch_pkey PRIMARY KEY (singleton)
);
COMMENT ON TABLE key_epoch IS 'Global. One row. Every revocation adds one; each replica polls it and drops its cached keys when it moved.';
COMMENT ON COLUMN key_epoch.singleton IS 'Always true: keeps the table at one row.';
COMMENT ON COLUMN key_epoch.epoch IS 'How many revocations there have been.';
COMMENT ON INDEX key_epoch_pkey IS 'Serves the poll of every replica.';
INSERT INTO key_epoch (epoch) VALUES (0);

CREATE TABLE lines (
    number             text        NOT NULL,
    role               smallint    NOT NULL CHECK (role IN (1, 2)),
    active_connections integer     NOT NULL DEFAULT 0 CHECK (active_connections >= 0),
    created_at         timestamptz NOT NULL,
    CONSTRAINT lines_pkey PRIMARY KEY (number)
);
COMMENT ON TABLE lines IS 'Global. The phone numbers we send from. Never shown to an agent or an admin.';
COMMENT ON COLUMN lines.number IS 'E.164.';
COMMENT ON COLUMN lines.role IS '1 router (takes commands), 2 pool (carries threads).';
COMMENT ON COLUMN lines.active_connections IS 'Rows of routes on this line, kept by connect and release so that the least loaded is chosen without counting.';
COMMENT ON COLUMN lines.created_at IS 'When the operator added it.';
COMMENT ON INDEX lines_pkey IS 'Serves the look-up of the line that a human texted.';
CREATE UNIQUE INDEX lines_one_router ON lines (role) WHERE role = 1;
COMMENT ON INDEX lines_one_router IS 'At most one router line; serves GetRouterNumber.';
CREATE INDEX lines_least_loaded ON lines (active_connections, number) WHERE role = 2;
COMMENT ON INDEX lines_least_loaded IS 'Serves the choice of a pool line by connect, least loaded first.';

CREATE TABLE routes (
    line_number       text NOT NULL,
    remote_number     text NOT NULL,
    organization_id   text NOT NULL,
    agent_identity_id uuid NOT NULL,
    connection_id     uuid NOT NULL,
    CONSTRAINT routes_pkey PRIMARY KEY (line_number, remote_number)
);
COMMENT ON TABLE routes IS 'Global. The active connection of a human on a line; the primary key gives an inbound text one meaning.';
COMMENT ON COLUMN routes.line_number IS 'The pool line.';
COMMENT ON COLUMN routes.remote_number IS 'E.164 of the human.';
COMMENT ON COLUMN routes.organization_id IS 'Organization of the connection.';
COMMENT ON COLUMN routes.agent_identity_id IS 'Identity of the connection.';
COMMENT ON COLUMN routes.connection_id IS 'The active connection.';
COMMENT ON INDEX routes_pkey IS 'Serves the routing of every inbound text.';
CREATE INDEX routes_by_human ON routes (remote_number, organization_id, agent_identity_id);
COMMENT ON INDEX routes_by_human IS 'Serves the router commands: what is this human connected to.';

CREATE TABLE routed_organizations (
    line_number     text NOT NULL,
    remote_number   text NOT NULL,
    organization_id text NOT NULL,
    CONSTRAINT routed_organizations_pkey PRIMARY KEY (line_number, remote_number, organization_id)
);
COMMENT ON TABLE routed_organizations IS 'Global. Organizations a human ever reached over a line: where a redelivered text may already be stored after its route has gone or moved on.';
COMMENT ON COLUMN routed_organizations.line_number IS 'The pool line.';
COMMENT ON COLUMN routed_organizations.remote_number IS 'E.164 of the human.';
COMMENT ON COLUMN routed_organizations.organization_id IS 'An organization that had a connection on this pair.';
COMMENT ON INDEX routed_organizations_pkey IS 'Serves the duplicate check of inbound texts.';

CREATE TABLE router_commands (
    line_number         text        NOT NULL,
    provider_message_id text        NOT NULL,
    connection_id       uuid,
    created_at          timestamptz NOT NULL,
    CONSTRAINT router_commands_pkey PRIMARY KEY (line_number, provider_message_id)
);
COMMENT ON TABLE router_commands IS 'Global. Texts to the router line that were acted on, so that a redelivery changes nothing.';
COMMENT ON COLUMN router_commands.line_number IS 'The router line.';
COMMENT ON COLUMN router_commands.provider_message_id IS 'The carrier''s id of the text.';
COMMENT ON COLUMN router_commands.connection_id IS 'Connection that the first delivery made, kept or ended.';
COMMENT ON COLUMN router_commands.created_at IS 'When it was acted on.';
COMMENT ON INDEX router_commands_pkey IS 'Serves the duplicate check of router commands.';

------------------------------------------------------------------------------------------------ tenant tables

CREATE TABLE identities (
    organization_id  text        NOT NULL,
    id               uuid        NOT NULL,
    agent_handle     text        NOT NULL,
    display_name     text        NOT NULL,
    imessage_enabled boolean     NOT NULL,
    filter_mode      smallint    NOT NULL CHECK (filter_mode IN (1, 2)),
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CONSTRAINT identities_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT identities_organization FOREIGN KEY (organization_id) REFERENCES organizations (id)
);
COMMENT ON TABLE identities IS 'Tenant. The agents.';
COMMENT ON COLUMN identities.organization_id IS 'Owner.';
COMMENT ON COLUMN identities.id IS 'Identity id.';
COMMENT ON COLUMN identities.agent_handle IS 'Handle as it was given, without @; handles has it in lower case.';
COMMENT ON COLUMN identities.display_name IS 'Free text for people; may be empty.';
COMMENT ON COLUMN identities.imessage_enabled IS 'Off until enabled: off drops inbound texts and refuses operations.';
COMMENT ON COLUMN identities.filter_mode IS 'FilterMode: 1 blacklist, 2 whitelist.';
COMMENT ON COLUMN identities.created_at IS 'When it was made.';
COMMENT ON COLUMN identities.updated_at IS 'When a field last changed.';
COMMENT ON INDEX identities_pkey IS 'Serves GetIdentity and the identity check of every call that names one.';
CREATE INDEX identities_newest ON identities (organization_id, created_at DESC, id DESC);
COMMENT ON INDEX identities_newest IS 'Serves ListIdentities.';

CREATE TABLE api_keys (
    organization_id   text        NOT NULL,
    id                uuid        NOT NULL,
    scope             smallint    NOT NULL CHECK (scope IN (1, 2)),
    agent_identity_id uuid,
    label             text        NOT NULL,
    display_prefix    text        NOT NULL,
    created_at        timestamptz NOT NULL,
    expires_at        timestamptz,
    revoked_at        timestamptz,
    last_used_at      timestamptz,
    CONSTRAINT api_keys_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT api_keys_organization FOREIGN KEY (organization_id) REFERENCES organizations (id),
    CONSTRAINT api_keys_identity FOREIGN KEY (organization_id, agent_identity_id) REFERENCES identities (organization_id, id),
    CONSTRAINT api_keys_owner CHECK ((scope = 2) = (agent_identity_id IS NOT NULL))
) WITH (fillfactor = 80);
COMMENT ON TABLE api_keys IS 'Tenant. What people may know of a key; key_digests has what it means.';
COMMENT ON COLUMN api_keys.organization_id IS 'Owner.';
COMMENT ON COLUMN api_keys.id IS 'Key id.';
COMMENT ON COLUMN api_keys.scope IS 'ApiKeyScope: 1 admin, 2 identity.';
COMMENT ON COLUMN api_keys.agent_identity_id IS 'The only identity of an identity key.';
COMMENT ON COLUMN api_keys.label IS 'Free text for people.';
COMMENT ON COLUMN api_keys.display_prefix IS 'First characters of the secret: enough to recognise it, never enough to use it.';
COMMENT ON COLUMN api_keys.created_at IS 'When it was minted.';
COMMENT ON COLUMN api_keys.expires_at IS 'Copied to key_digests, which decides.';
COMMENT ON COLUMN api_keys.revoked_at IS 'When it was revoked; absent while it works.';
COMMENT ON COLUMN api_keys.last_used_at IS 'Last use, to the minute, written in batches.';
COMMENT ON INDEX api_keys_pkey IS 'Serves WhoAmI, RevokeApiKey and the batched write of last_used_at.';
CREATE INDEX api_keys_newest ON api_keys (organization_id, created_at DESC, id DESC);
COMMENT ON INDEX api_keys_newest IS 'Serves ListApiKeys.';

CREATE TABLE contact_rules (
    organization_id   text        NOT NULL,
    id                uuid        NOT NULL,
    agent_identity_id uuid        NOT NULL,
    action            smallint    NOT NULL CHECK (action IN (1, 2)),
    match_target      text        NOT NULL,
    status            smallint    NOT NULL CHECK (status IN (1, 2)),
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT contact_rules_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT contact_rules_identity FOREIGN KEY (organization_id, agent_identity_id) REFERENCES identities (organization_id, id),
    CONSTRAINT contact_rules_one_per_number UNIQUE (organization_id, match_target, agent_identity_id)
);
COMMENT ON TABLE contact_rules IS 'Tenant. Who may reach an identity. One rule a number, whatever its action and status.';
COMMENT ON COLUMN contact_rules.organization_id IS 'Owner.';
COMMENT ON COLUMN contact_rules.id IS 'Rule id.';
COMMENT ON COLUMN contact_rules.agent_identity_id IS 'The identity it protects.';
COMMENT ON COLUMN contact_rules.action IS 'ContactRuleAction: 1 allow, 2 block. Inert under the other filter mode.';
COMMENT ON COLUMN contact_rules.match_target IS 'E.164, compared exactly.';
COMMENT ON COLUMN contact_rules.status IS 'ContactRuleStatus: 1 active, 2 paused (no effect, keeps the slot).';
COMMENT ON COLUMN contact_rules.created_at IS 'When it was made.';
COMMENT ON COLUMN contact_rules.updated_at IS 'When action or status last changed.';
COMMENT ON INDEX contact_rules_pkey IS 'Serves GetContactRule, UpdateContactRule and DeleteContactRule.';
COMMENT ON INDEX contact_rules_one_per_number IS 'Serves every verdict; keeps one rule a number.';
CREATE INDEX contact_rules_newest ON contact_rules (organization_id, created_at DESC, id DESC);
COMMENT ON INDEX contact_rules_newest IS 'Serves ListContactRules over an organization.';
CREATE INDEX contact_rules_newest_of_identity ON contact_rules (organization_id, agent_identity_id, created_at DESC, id DESC) WHERE created_at > '-infinity';
COMMENT ON INDEX contact_rules_newest_of_identity IS 'Serves ListContactRules of one identity, and nothing else: see above.';

CREATE TABLE connections (
    organization_id   text        NOT NULL,
    id                uuid        NOT NULL,
    agent_identity_id uuid        NOT NULL,
    line_number       text        NOT NULL,
    remote_number     text        NOT NULL,
    released_at       timestamptz,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    CONSTRAINT connections_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT connections_identity FOREIGN KEY (organization_id, agent_identity_id) REFERENCES identities (organization_id, id)
);
COMMENT ON TABLE connections IS 'Tenant. One human on one pool line with one identity, from connect to release.';
COMMENT ON COLUMN connections.organization_id IS 'Owner.';
COMMENT ON COLUMN connections.id IS 'Connection id, the assignment_id of its conversation.';
COMMENT ON COLUMN connections.agent_identity_id IS 'The identity.';
COMMENT ON COLUMN connections.line_number IS 'The pool line. Never shown to an agent or an admin.';
COMMENT ON COLUMN connections.remote_number IS 'E.164 of the human.';
COMMENT ON COLUMN connections.released_at IS 'When it ended; absent while active.';
COMMENT ON COLUMN connections.created_at IS 'When the human connected.';
COMMENT ON COLUMN connections.updated_at IS 'When its status last changed.';
COMMENT ON INDEX connections_pkey IS 'Serves release, and the lock that the first message of a conversation takes.';
CREATE UNIQUE INDEX connections_one_active ON connections (organization_id, remote_number, agent_identity_id) WHERE released_at IS NULL;
COMMENT ON INDEX connections_one_active IS 'At most one active connection per identity and human; serves connect and sends by number.';
CREATE INDEX connections_newest ON connections (organization_id, created_at DESC, id DESC) WHERE released_at IS NULL;
COMMENT ON INDEX connections_newest IS 'Serves ListConnections over an organization.';
CREATE INDEX connections_newest_of_identity ON connections (organization_id, agent_identity_id, created_at DESC, id DESC) WHERE released_at IS NULL AND created_at > '-infinity';
COMMENT ON INDEX connections_newest_of_identity IS 'Serves ListConnections of one identity, and nothing else: see above.';

CREATE TABLE conversations (
    organization_id          text        NOT NULL,
    id                       uuid        NOT NULL,
    agent_identity_id        uuid        NOT NULL,
    remote_number            text        NOT NULL,
    assignment_id            uuid        NOT NULL,
    assignment_released      boolean     NOT NULL DEFAULT false,
    assignment_messaged      boolean     NOT NULL DEFAULT false,
    created_at               timestamptz NOT NULL,
    updated_at               timestamptz NOT NULL,
    latest_at                timestamptz NOT NULL,
    blocked_is_latest        boolean     NOT NULL DEFAULT false,
    clear_total              integer     NOT NULL DEFAULT 0,
    clear_received           integer     NOT NULL DEFAULT 0,
    clear_read               integer     NOT NULL DEFAULT 0,
    clear_read_before        integer     NOT NULL DEFAULT 0,
    clear_latest_id          uuid,
    clear_latest_at          timestamptz,
    clear_latest_direction   smallint CHECK (clear_latest_direction IN (1, 2)),
    clear_latest_text        text,
    clear_latest_has_media   boolean,
    blocked_total            integer     NOT NULL DEFAULT 0,
    blocked_latest_id        uuid,
    blocked_latest_at        timestamptz,
    blocked_latest_text      text,
    blocked_latest_has_media boolean,
    CONSTRAINT conversations_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT conversations_one_per_pair UNIQUE (organization_id, remote_number, agent_identity_id),
    CONSTRAINT conversations_identity FOREIGN KEY (organization_id, agent_identity_id) REFERENCES identities (organization_id, id),
    CONSTRAINT conversations_horizon CHECK (clear_read_before <= clear_read AND clear_read <= clear_received)
) WITH (fillfactor = 70);
COMMENT ON TABLE conversations IS 'Tenant. One per identity and human, for ever. Carries the summary of its messages, kept in the statement that stores a message, so that listing counts nothing. The fill factor leaves room for HOT updates.';
COMMENT ON COLUMN conversations.organization_id IS 'Owner.';
COMMENT ON COLUMN conversations.id IS 'Conversation id.';
COMMENT ON COLUMN conversations.agent_identity_id IS 'The identity.';
COMMENT ON COLUMN conversations.remote_number IS 'E.164 of the human.';
COMMENT ON COLUMN conversations.assignment_id IS 'Its newest connection.';
COMMENT ON COLUMN conversations.assignment_released IS 'Whether that connection has ended; written with connections.released_at in one transaction, here so that lists and marks need no second table.';
COMMENT ON COLUMN conversations.assignment_messaged IS 'Whether the human has sent a non-blocked text on that connection; sends wait for it.';
COMMENT ON COLUMN conversations.created_at IS 'When the first message arrived.';
COMMENT ON COLUMN conversations.updated_at IS 'Last non-blocked message or connection change. Blocked messages leave it alone: it is visible to those who must not notice them.';
COMMENT ON COLUMN conversations.latest_at IS 'Time of the newest message of both views.';
COMMENT ON COLUMN conversations.blocked_is_latest IS 'Whether the newest message of both views is a blocked one.';
COMMENT ON COLUMN conversations.clear_total IS 'Non-blocked messages, both directions.';
COMMENT ON COLUMN conversations.clear_received IS 'Non-blocked inbound messages; the running number of the newest to arrive.';
COMMENT ON COLUMN conversations.clear_read IS 'The read horizon: how many of clear_received are read. Only moves forward. No index covers it, so that marking is a HOT update.';
COMMENT ON COLUMN conversations.clear_read_before IS 'The horizon before its last move, so that the move can return how many messages it turned read.';
COMMENT ON COLUMN conversations.clear_latest_id IS 'Newest non-blocked message by (time, id).';
COMMENT ON COLUMN conversations.clear_latest_at IS 'Its time.';
COMMENT ON COLUMN conversations.clear_latest_direction IS 'Its MessageDirection.';
COMMENT ON COLUMN conversations.clear_latest_text IS 'Its first 256 characters; absent when it has no text.';
COMMENT ON COLUMN conversations.clear_latest_has_media IS 'Whether it has media.';
COMMENT ON COLUMN conversations.blocked_total IS 'Blocked messages; always inbound, never read.';
COMMENT ON COLUMN conversations.blocked_latest_id IS 'Newest blocked message by (time, id).';
COMMENT ON COLUMN conversations.blocked_latest_at IS 'Its time.';
COMMENT ON COLUMN conversations.blocked_latest_text IS 'Its first 256 characters; absent when it has no text.';
COMMENT ON COLUMN conversations.blocked_latest_has_media IS 'Whether it has media.';
COMMENT ON INDEX conversations_pkey IS 'Serves GetConversation, MarkConversationRead, SendTypingIndicator and the summary update of every message.';
COMMENT ON INDEX conversations_one_per_pair IS 'One conversation per identity and human; serves the routing of an inbound text and reconnects.';
CREATE INDEX conversations_list_all ON conversations (organization_id, latest_at DESC, id DESC);
COMMENT ON INDEX conversations_list_all IS 'Serves ListConversations over an organization, all messages.';
CREATE INDEX conversations_list_all_of_identity ON conversations (organization_id, agent_identity_id, latest_at DESC, id DESC) WHERE latest_at > '-infinity';
COMMENT ON INDEX conversations_list_all_of_identity IS 'Serves ListConversations of one identity, all messages, and nothing else: see above.';
CREATE INDEX conversations_list_clear ON conversations (organization_id, clear_latest_at DESC, id DESC) WHERE clear_latest_at IS NOT NULL;
COMMENT ON INDEX conversations_list_clear IS 'Serves ListConversations over an organization, non-blocked messages.';
CREATE INDEX conversations_list_clear_of_identity ON conversations (organization_id, agent_identity_id, clear_latest_at DESC, id DESC) WHERE clear_latest_at IS NOT NULL;
COMMENT ON INDEX conversations_list_clear_of_identity IS 'Serves ListConversations of one identity, non-blocked messages.';
CREATE INDEX conversations_list_blocked ON conversations (organization_id, blocked_latest_at DESC, id DESC) WHERE blocked_latest_at IS NOT NULL;
COMMENT ON INDEX conversations_list_blocked IS 'Serves ListConversations over an organization, blocked messages.';
CREATE INDEX conversations_list_blocked_of_identity ON conversations (organization_id, agent_identity_id, blocked_latest_at DESC, id DESC) WHERE blocked_latest_at IS NOT NULL;
COMMENT ON INDEX conversations_list_blocked_of_identity IS 'Serves ListConversations of one identity, blocked messages.';

CREATE TABLE messages (
    organization_id     text        NOT NULL,
    id                  uuid        NOT NULL,
    conversation_id     uuid        NOT NULL,
    agent_identity_id   uuid        NOT NULL,
    assignment_id       uuid        NOT NULL,
    line_number         text        NOT NULL,
    provider_message_id text,
    direction           smallint    NOT NULL CHECK (direction IN (1, 2)),
    received_number     integer,
    is_blocked          boolean     NOT NULL,
    text                text,
    media               jsonb,
    send_style          smallint    NOT NULL DEFAULT 0 CHECK (send_style BETWEEN 0 AND 13),
    transport           smallint    NOT NULL CHECK (transport BETWEEN 1 AND 3),
    status              smallint    NOT NULL CHECK (status BETWEEN 1 AND 9),
    error_code          text,
    error_message       text,
    was_downgraded      boolean     NOT NULL DEFAULT false,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    CONSTRAINT messages_pkey PRIMARY KEY (organization_id, id),
    CONSTRAINT messages_one_per_provider_id UNIQUE (organization_id, line_number, provider_message_id),
    CONSTRAINT messages_numbered CHECK ((received_number IS NOT NULL) = (direction = 1 AND NOT is_blocked)),
    CONSTRAINT messages_blocked_inbound CHECK (direction = 1 OR NOT is_blocked)
);
COMMENT ON TABLE messages IS 'Tenant. What was said. No foreign key to conversations: a message is only ever inserted from the row that the same statement updates there, so the key would cost a lock and prove nothing.';
COMMENT ON COLUMN messages.organization_id IS 'Owner.';
COMMENT ON COLUMN messages.id IS 'Message id.';
COMMENT ON COLUMN messages.conversation_id IS 'Its conversation.';
COMMENT ON COLUMN messages.agent_identity_id IS 'Identity of the conversation, for lists by identity.';
COMMENT ON COLUMN messages.assignment_id IS 'The connection it came or went on.';
COMMENT ON COLUMN messages.line_number IS 'Line of that connection. Never shown to an agent or an admin.';
COMMENT ON COLUMN messages.provider_message_id IS 'The carrier''s id; absent until the carrier accepted an outbound message.';
COMMENT ON COLUMN messages.direction IS 'MessageDirection: 1 inbound, 2 outbound.';
COMMENT ON COLUMN messages.received_number IS 'Running number among the non-blocked inbound messages of the conversation, by arrival; read when at or below its horizon.';
COMMENT ON COLUMN messages.is_blocked IS 'Decided when it arrived, never rewritten.';
COMMENT ON COLUMN messages.text IS 'The text, unchanged; absent when there is only media.';
COMMENT ON COLUMN messages.media IS 'Array of {url, content_type, size_bytes}; absent when there is none.';
COMMENT ON COLUMN messages.send_style IS 'SendStyle of an outbound message.';
COMMENT ON COLUMN messages.transport IS 'MessageTransport: 1 iMessage, 2 SMS, 3 RCS.';
COMMENT ON COLUMN messages.status IS 'DeliveryStatus.';
COMMENT ON COLUMN messages.error_code IS 'The carrier''s code of a failed delivery.';
COMMENT ON COLUMN messages.error_message IS 'The carrier''s words for it.';
COMMENT ON COLUMN messages.was_downgraded IS 'Sent as iMessage, delivered as SMS.';
COMMENT ON COLUMN messages.created_at IS 'Its place in time: when the human sent it, never later than its arrival.';
COMMENT ON COLUMN messages.updated_at IS 'When the row last changed; at first the arrival.';
COMMENT ON INDEX messages_pkey IS 'Serves GetMessage and reactions.';
COMMENT ON INDEX messages_one_per_provider_id IS 'A redelivered text is stored once; serves the duplicate check and inbound tapbacks.';
CREATE INDEX messages_list_of_conversation ON messages (organization_id, conversation_id, is_blocked, created_at DESC, id DESC);
COMMENT ON INDEX messages_list_of_conversation IS 'Serves ListMessages of one conversation, each view.';
CREATE INDEX messages_list_of_identity ON messages (organization_id, agent_identity_id, is_blocked, created_at DESC, id DESC);
COMMENT ON INDEX messages_list_of_identity IS 'Serves ListMessages of one identity, each view.';
CREATE INDEX messages_list_all ON messages (organization_id, is_blocked, created_at DESC, id DESC) WHERE created_at > '-infinity';
COMMENT ON INDEX messages_list_all IS 'Serves ListMessages over an organization, each view, and nothing else: see above.';
