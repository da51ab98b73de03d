//! How each invariant is broken by hand in the database of [`super::scene`], and what `--repair` leaves of that. In
//! statements that Citus takes as well: joins by the organization, and no made-up id in an UPDATE.

/// A way to break something.
pub(super) struct Breakage {
    /// The invariant.
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// Others that break with it.
    pub(super) besides: &'static [&'static str],
    /// What is still broken after a repair.
    pub(super) left: &'static [&'static str],
}

/// Broken, and mended.
const fn mended(name: &'static str, sql: &'static str, besides: &'static [&'static str]) -> Breakage {
    Breakage { name, sql, besides, left: &[] }
}

pub(super) const ROUTES: &str = "active connections are the routes";
const ONCE: &str = "an identity and a human are connected once at a time";
const POOL_LINE: &str = "a connection is on a pool line of ours";
const REMEMBERED: &str =
    "what a human reached over a line is remembered for as long as there is a connection";
const FORGOTTEN: &str = "what a human reached over a line is remembered no longer than there is a connection";
const BEGINS: &str = "a conversation begins with a message";
pub(super) const COUNTS: &str = "a conversation counts its messages";
const SHOWS: &str = "a conversation shows the newest message of each view";
const BOUNDS: &str = "no count is negative, and no more is read than was received";
const NUMBERED: &str = "what a human wrote is numbered through";
const ON_CONNECTION: &str = "a conversation is on a connection of its two, and knows whether that has ended";
const ON_ACTIVE: &str = "a conversation is on the active connection of its two, where there is one";
const MESSAGED: &str = "a conversation knows whether the human has texted on its connection";
const DISCARDED: &str = "a discarded conversation is gone";
const IN_CONVERSATION: &str = "a message is in a conversation, unless that was discarded";
const OF_IDENTITY: &str = "a message is of its conversation's identity";
const BY_LINE: &str = "a message came or went on a connection of its conversation's two, by that one's line";
const RECEIVED: &str =
    "an inbound message is received and has its carrier's id, an outbound one is never received";
const IN_FLIGHT: &str = "only a pending message of an agent is in flight";
const FINDABLE: &str = "what a carrier took is found by the carrier's id for a week";
const ONE_OWNER: &str = "a text is stored for one organization alone";
const SAID: &str = "what a message said is gone once retention has passed it";
const IDEMPOTENCY: &str = "an idempotency key is of a message that its identity sent";
const REACTION: &str = "a reaction is in the conversation of its message";
const ONE_LIVE: &str = "a side has one live reaction on a part of a message";
const EMOJI: &str = "the emoji of a reaction is gone once retention has passed it";
const ONE_RULE: &str = "an identity has one rule for a number";
pub(super) const LINE: &str = "a line counts its active connections";
const FOUND: &str = "what is found by a carrier's id is a message that the carrier took";
const COMMAND: &str = "the connection of a router command is there";
const HANDLE: &str = "an identity has its handle, and a handle its identity";
const KEY: &str =
    "a secret works for an organization's key that was not revoked, as the key says, and for no other";
const ROUTER_KEY: &str =
    "a secret works for a router key that was not revoked, as the key says, and for no other";
const EPOCH: &str = "revocations are counted";

/// A message of a human with something of everything: clear, not the newest of its conversation, without a reaction.
macro_rules! text {
    () => {
        "(SELECT id FROM messages WHERE text = 'unread')"
    };
}

pub(super) const BREAKAGES: &[Breakage] = &[
    Breakage {
        name: ONCE,
        sql: "DROP INDEX connections_one_active;
              INSERT INTO connections SELECT organization_id, gen_random_uuid(), agent_identity_id, line_number, remote_number,
                                             NULL, created_at, updated_at
              FROM connections WHERE remote_number = '+15551230002'",
        besides: &[ROUTES],
        left: &[ONCE, ROUTES],
    },
    Breakage {
        name: POOL_LINE,
        sql: "INSERT INTO routed_organizations VALUES ('+12025550100', '+15551230003', 'org_a');
              INSERT INTO connections SELECT organization_id, gen_random_uuid(), agent_identity_id, '+12025550100',
                                             remote_number, created_at, created_at, updated_at
              FROM connections WHERE remote_number = '+15551230003'",
        besides: &[],
        left: &[POOL_LINE],
    },
    mended(REMEMBERED, "DELETE FROM routed_organizations WHERE remote_number = '+15551230002'", &[]),
    mended(FORGOTTEN, "INSERT INTO routed_organizations VALUES ('+12025550101', '+15550000009', 'org_a')", &[]),
    Breakage {
        name: BEGINS,
        sql: "INSERT INTO conversations (organization_id, id, agent_identity_id, remote_number, assignment_id, created_at,
                                         updated_at, latest_at)
              SELECT organization_id, gen_random_uuid(), agent_identity_id, remote_number, id, now(), now(), now()
              FROM connections WHERE remote_number = '+15551230002'",
        besides: &[],
        left: &[BEGINS],
    },
    mended(COUNTS, "UPDATE conversations SET clear_total = clear_total + 1", &[]),
    mended(COUNTS, "UPDATE conversations SET blocked_total = blocked_total - 1 WHERE blocked_total > 0", &[]),
    mended(
        COUNTS,
        "UPDATE conversations SET clear_received = clear_received + 1, clear_total = clear_total + 1
         WHERE clear_latest_text = 'young'",
        &[],
    ),
    mended(SHOWS, "UPDATE conversations SET clear_latest_text = 'no one said so'", &[]),
    mended(SHOWS, "UPDATE conversations SET blocked_latest_has_media = true WHERE blocked_total > 0", &[]),
    mended(SHOWS, "UPDATE conversations SET latest_at = '2020-01-01T00:00:00Z'", &[]),
    mended(SHOWS, "UPDATE conversations SET blocked_is_latest = NOT blocked_is_latest", &[]),
    mended(SHOWS, "UPDATE conversations SET clear_latest_id = '00000000-0000-7000-8000-000000000009'", &[]),
    mended(
        BOUNDS,
        "ALTER TABLE conversations DROP CONSTRAINT conversations_horizon;
         UPDATE conversations SET clear_read = clear_received + 1",
        &[],
    ),
    mended(BOUNDS, "UPDATE conversations SET clear_read_before = -1", &[]),
    mended(
        NUMBERED,
        "UPDATE messages SET received_number = received_number + 1 WHERE text IN ('unread', 'hello again')",
        &[],
    ),
    mended(
        NUMBERED,
        "UPDATE messages SET received_number = 1 WHERE text = 'unread'",
        &[],
    ),
    mended(ON_CONNECTION, "UPDATE conversations SET assignment_released = NOT assignment_released", &[]),
    mended(
        ON_CONNECTION,
        "UPDATE conversations SET assignment_id = '00000000-0000-7000-8000-000000000009', assignment_messaged = false
         WHERE assignment_released",
        &[],
    ),
    mended(
        ON_ACTIVE,
        "UPDATE conversations c SET assignment_id = k.id, assignment_released = true FROM connections k
         WHERE k.remote_number = '+15551230004' AND k.released_at IS NOT NULL
           AND c.organization_id = k.organization_id AND c.remote_number = k.remote_number
           AND c.agent_identity_id = k.agent_identity_id",
        &[],
    ),
    mended(MESSAGED, "UPDATE conversations SET assignment_messaged = false", &[]),
    Breakage {
        name: DISCARDED,
        sql: "INSERT INTO discarded_conversations SELECT organization_id, id, now() FROM conversations LIMIT 1",
        besides: &[],
        left: &[DISCARDED],
    },
    Breakage {
        name: IN_CONVERSATION,
        sql: concat!(
            "INSERT INTO messages SELECT organization_id, gen_random_uuid(), gen_random_uuid(), agent_identity_id,
                 assignment_id, line_number, 'another', direction, received_number, is_blocked, text, media, send_style,
                 transport, status, error_code, error_message, was_downgraded, created_at, updated_at
             FROM messages WHERE id = ",
            text!()
        ),
        besides: &[],
        left: &[IN_CONVERSATION],
    },
    Breakage {
        name: OF_IDENTITY,
        sql: "UPDATE messages m SET agent_identity_id = o.agent_identity_id FROM messages o
              WHERE m.text = 'unread' AND o.text = 'bye' AND o.organization_id = m.organization_id",
        besides: &[],
        left: &[OF_IDENTITY],
    },
    Breakage {
        name: BY_LINE,
        sql: concat!("UPDATE messages SET line_number = '+12025550100' WHERE id = ", text!()),
        besides: &[],
        left: &[BY_LINE],
    },
    Breakage {
        name: BY_LINE,
        sql: concat!("UPDATE messages SET assignment_id = '00000000-0000-7000-8000-000000000009' WHERE id = ", text!()),
        besides: &[],
        left: &[BY_LINE],
    },
    Breakage {
        name: RECEIVED,
        sql: concat!("UPDATE messages SET status = 3 WHERE id = ", text!()),
        besides: &[],
        left: &[RECEIVED],
    },
    Breakage {
        name: RECEIVED,
        sql: concat!("UPDATE messages SET provider_message_id = NULL WHERE id = ", text!()),
        besides: &[],
        left: &[RECEIVED],
    },
    Breakage {
        name: IN_FLIGHT,
        sql: concat!("UPDATE messages SET in_flight_until = now() WHERE id = ", text!()),
        besides: &[],
        left: &[IN_FLIGHT],
    },
    Breakage { name: FINDABLE, sql: "DELETE FROM sent_messages", besides: &[], left: &[FINDABLE] },
    Breakage {
        name: FINDABLE,
        sql: "UPDATE sent_messages SET message_id = '00000000-0000-7000-8000-000000000009'",
        besides: &[FOUND],
        left: &[FINDABLE, FOUND],
    },
    Breakage {
        name: ONE_OWNER,
        sql: "UPDATE messages SET provider_message_id = 'the same' WHERE text IN ('to the one', 'to the other')",
        besides: &[],
        left: &[ONE_OWNER],
    },
    Breakage {
        name: SAID,
        sql: "UPDATE messages SET text = 'back' WHERE id = (SELECT id FROM messages WHERE text IS NULL ORDER BY id LIMIT 1)",
        besides: &[],
        left: &[SAID],
    },
    Breakage {
        name: SAID,
        sql: "UPDATE messages SET media = '[]' WHERE id = (SELECT id FROM messages WHERE text IS NULL ORDER BY id LIMIT 1)",
        besides: &[],
        left: &[SAID],
    },
    Breakage {
        name: IDEMPOTENCY,
        sql: "UPDATE idempotency_keys SET message_id = '00000000-0000-7000-8000-000000000009'",
        besides: &[],
        left: &[IDEMPOTENCY],
    },
    Breakage {
        name: REACTION,
        sql: "UPDATE reactions SET conversation_id = '00000000-0000-7000-8000-000000000009'",
        besides: &[],
        left: &[REACTION],
    },
    Breakage {
        name: ONE_LIVE,
        sql: "DROP INDEX reactions_one_live;
              INSERT INTO reactions SELECT organization_id, gen_random_uuid(), message_id, conversation_id, direction, 1, NULL,
                                           part_index, created_at
              FROM reactions",
        besides: &[],
        left: &[ONE_LIVE],
    },
    Breakage {
        name: EMOJI,
        sql: "UPDATE reactions SET custom_emoji = 'x' WHERE reaction = 8 AND custom_emoji IS NULL",
        besides: &[],
        left: &[EMOJI],
    },
    Breakage {
        name: ONE_RULE,
        sql: "ALTER TABLE contact_rules DROP CONSTRAINT contact_rules_one_per_number;
              INSERT INTO contact_rules SELECT organization_id, gen_random_uuid(), agent_identity_id, 1, match_target, status,
                                               created_at, updated_at
              FROM contact_rules",
        besides: &[],
        left: &[ONE_RULE],
    },
    mended(ROUTES, "DELETE FROM routes WHERE remote_number = '+15551230002'", &[LINE]),
    mended(
        ROUTES,
        "INSERT INTO routes SELECT line_number, remote_number, organization_id, agent_identity_id, id FROM connections
         WHERE remote_number = '+15551230003'",
        &[LINE],
    ),
    mended(ROUTES, "UPDATE routes SET agent_identity_id = '00000000-0000-7000-8000-000000000009'", &[]),
    mended(ROUTES, "UPDATE routes SET organization_id = 'org_c'", &[]),
    mended(LINE, "UPDATE lines SET active_connections = active_connections + 1", &[]),
    Breakage {
        name: FOUND,
        sql: concat!(
            "INSERT INTO sent_messages SELECT line_number, 'made up', organization_id, id, now() FROM messages WHERE id = ",
            text!()
        ),
        besides: &[],
        left: &[FOUND],
    },
    Breakage {
        name: COMMAND,
        sql: "UPDATE router_commands SET connection_id = '00000000-0000-7000-8000-000000000009' WHERE connection_id IS NOT NULL",
        besides: &[],
        left: &[COMMAND],
    },
    Breakage {
        name: HANDLE,
        sql: "DELETE FROM handles WHERE organization_id = 'org_b'",
        besides: &[],
        left: &[HANDLE],
    },
    Breakage {
        name: HANDLE,
        sql: "UPDATE handles SET handle = 'someone-else' WHERE organization_id = 'org_b'",
        besides: &[],
        left: &[HANDLE],
    },
    Breakage {
        name: HANDLE,
        sql: "INSERT INTO handles VALUES ('no-one', 'org_a', gen_random_uuid())",
        besides: &[],
        left: &[HANDLE],
    },
    Breakage { name: KEY, sql: "DELETE FROM key_digests WHERE scope = 1", besides: &[], left: &[KEY] },
    Breakage { name: KEY, sql: "UPDATE api_keys SET revoked_at = now()", besides: &[], left: &[KEY] },
    Breakage {
        name: KEY,
        sql: "UPDATE key_digests SET expires_at = now() WHERE scope = 1",
        besides: &[],
        left: &[KEY],
    },
    Breakage {
        name: KEY,
        sql: "UPDATE key_digests SET organization_id = 'org_b' WHERE organization_id = 'org_a'",
        besides: &[],
        left: &[KEY],
    },
    Breakage {
        name: ROUTER_KEY,
        sql: "UPDATE router_keys SET revoked_at = now()",
        besides: &[],
        left: &[ROUTER_KEY],
    },
    Breakage { name: EPOCH, sql: "DELETE FROM key_epoch", besides: &[], left: &[EPOCH] },
];
