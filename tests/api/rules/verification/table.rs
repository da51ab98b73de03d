//! Statements that violate each invariant in the database of [`super::scene`], and the violations that
//! `--repair` leaves. Citus accepts all of them: joins are by organization, and no UPDATE generates an id.

use super::names::{
    BEGINS, BOUNDS, BY_LINE, CANONICAL_CONNECTION, CANONICAL_RULE, COMMAND, COUNTS, DISCARDED, EMOJI, EPOCH,
    FINDABLE, FORGOTTEN, FOUND, GAPLESS, HANDLE, IDEMPOTENCY, IN_CONVERSATION, IN_FLIGHT, KEY, LINE, LOGGED,
    MESSAGED, NUMBERED, OF_IDENTITY, ON_ACTIVE, ON_CONNECTION, ONCE, ONE_LIVE, ONE_OWNER, ONE_RULE,
    POOL_LINE, REACTION, RECEIVED, REMEMBERED, REPLY, REVISED, ROUTER_KEY, ROUTES, SAID, SETTLED, SHOWS,
};

/// A way to violate an invariant.
pub(super) struct Breakage {
    /// The invariant.
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
    /// Other invariants that are violated as well.
    pub(super) besides: &'static [&'static str],
    /// What is still violated after a repair.
    pub(super) left: &'static [&'static str],
}

/// A violation that is repaired completely.
const fn repaired(name: &'static str, sql: &'static str, besides: &'static [&'static str]) -> Breakage {
    Breakage { name, sql, besides, left: &[] }
}

/// An inbound message that is not blocked, not the newest of its conversation, and without a reaction.
macro_rules! text {
    () => {
        "(SELECT id FROM messages WHERE text = 'unread')"
    };
}

/// Statements that give a human with a conversation the number that an earlier version would have stored.
const FORMER: &str = "INSERT INTO routes SELECT line_number, '+5215512345678', organization_id, agent_identity_id, connection_id
                      FROM routes WHERE remote_number = '+15551230004';
                      DELETE FROM routes WHERE remote_number = '+15551230004';
                      INSERT INTO routed_organizations SELECT line_number, '+5215512345678', organization_id
                      FROM routed_organizations WHERE remote_number = '+15551230004';
                      DELETE FROM routed_organizations WHERE remote_number = '+15551230004';
                      UPDATE connections SET remote_number = '+5215512345678' WHERE remote_number = '+15551230004';
                      UPDATE conversations SET remote_number = '+5215512345678' WHERE remote_number = '+15551230004'";

pub(super) const BREAKAGES: &[Breakage] = &[
    repaired(CANONICAL_CONNECTION, FORMER, &[]),
    repaired(
        CANONICAL_RULE,
        "UPDATE contact_rules SET match_target = '+541123456789' WHERE match_target = '+15551239999'",
        &[],
    ),
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
        sql: "UPDATE connections SET line_number = '+12025550100' WHERE remote_number = '+15551230002';
              UPDATE routes SET line_number = '+12025550100' WHERE remote_number = '+15551230002';
              UPDATE routed_organizations SET line_number = '+12025550100' WHERE remote_number = '+15551230002'",
        besides: &[LINE],
        left: &[POOL_LINE],
    },
    repaired(REMEMBERED, "DELETE FROM routed_organizations WHERE remote_number = '+15551230002'", &[]),
    repaired(FORGOTTEN, "INSERT INTO routed_organizations VALUES ('+12025550101', '+15550000009', 'org_a')", &[]),
    Breakage {
        name: BEGINS,
        sql: "INSERT INTO conversations (organization_id, id, agent_identity_id, remote_number, assignment_id, created_at,
                                         updated_at, latest_at)
              SELECT organization_id, gen_random_uuid(), agent_identity_id, remote_number, id, now(), now(), now()
              FROM connections WHERE remote_number = '+15551230002'",
        besides: &[],
        left: &[BEGINS],
    },
    repaired(COUNTS, "UPDATE conversations SET clear_total = clear_total + 1", &[]),
    repaired(COUNTS, "UPDATE conversations SET blocked_total = blocked_total - 1 WHERE blocked_total > 0", &[]),
    repaired(
        COUNTS,
        "UPDATE conversations SET clear_received = clear_received + 1, clear_total = clear_total + 1
         WHERE clear_latest_text = 'young'",
        &[],
    ),
    repaired(SHOWS, "UPDATE conversations SET clear_latest_text = 'no one said so'", &[]),
    repaired(SHOWS, "UPDATE conversations SET blocked_latest_has_media = true WHERE blocked_total > 0", &[]),
    repaired(SHOWS, "UPDATE conversations SET latest_at = '2020-01-01T00:00:00Z'", &[]),
    repaired(SHOWS, "UPDATE conversations SET blocked_is_latest = NOT blocked_is_latest", &[]),
    repaired(SHOWS, "UPDATE conversations SET clear_latest_id = '00000000-0000-7000-8000-000000000009'", &[]),
    repaired(
        BOUNDS,
        "ALTER TABLE conversations DROP CONSTRAINT conversations_horizon;
         UPDATE conversations SET clear_read = clear_received + 1",
        &[],
    ),
    repaired(BOUNDS, "UPDATE conversations SET clear_read_before = -1", &[]),
    repaired(
        SETTLED,
        "UPDATE conversations SET clear_settled = clear_read + 1 WHERE clear_latest_at IS NOT NULL",
        &[],
    ),
    repaired(
        SETTLED,
        "UPDATE conversations SET clear_read = clear_received, clear_settled = clear_received,
                                  clear_settled_at = '2020-01-01T00:00:00Z' WHERE clear_received > 0",
        &[],
    ),
    repaired(
        NUMBERED,
        "UPDATE messages SET received_number = received_number + 1 WHERE text IN ('unread', 'hello again')",
        &[],
    ),
    repaired(
        NUMBERED,
        "UPDATE messages SET received_number = 1 WHERE text = 'unread'",
        &[],
    ),
    repaired(ON_CONNECTION, "UPDATE conversations SET assignment_released = NOT assignment_released", &[]),
    repaired(
        ON_CONNECTION,
        "UPDATE conversations SET assignment_id = '00000000-0000-7000-8000-000000000009', assignment_messaged = false
         WHERE assignment_released",
        &[],
    ),
    repaired(
        ON_ACTIVE,
        "UPDATE conversations c SET assignment_id = k.id, assignment_released = true FROM connections k
         WHERE k.remote_number = '+15551230004' AND k.released_at IS NOT NULL
           AND c.organization_id = k.organization_id AND c.remote_number = k.remote_number
           AND c.agent_identity_id = k.agent_identity_id",
        &[],
    ),
    repaired(MESSAGED, "UPDATE conversations SET assignment_messaged = false", &[]),
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
        name: SAID,
        sql: "UPDATE messages SET original_text = 'back', edited_at = now()
              WHERE id = (SELECT id FROM messages WHERE text IS NULL AND direction = 1 ORDER BY id LIMIT 1)",
        besides: &[],
        left: &[SAID],
    },
    Breakage {
        name: REVISED,
        sql: concat!("UPDATE messages SET original_text = 'before' WHERE id = ", text!()),
        besides: &[],
        left: &[REVISED],
    },
    Breakage {
        name: REVISED,
        sql: concat!("UPDATE messages SET retracted_at = now() WHERE id = ", text!()),
        besides: &[],
        left: &[REVISED],
    },
    Breakage {
        name: REPLY,
        sql: concat!(
            "UPDATE messages SET reply_to_message_id = (SELECT id FROM messages WHERE text = 'bye') WHERE id = ",
            text!()
        ),
        besides: &[],
        left: &[REPLY],
    },
    Breakage {
        name: IDEMPOTENCY,
        sql: "UPDATE idempotency_keys SET message_id = '00000000-0000-7000-8000-000000000009'",
        besides: &[],
        left: &[IDEMPOTENCY],
    },
    repaired(REACTION, "UPDATE reactions SET conversation_id = '00000000-0000-7000-8000-000000000009'", &[]),
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
    repaired(ROUTES, "DELETE FROM routes WHERE remote_number = '+15551230002'", &[LINE]),
    repaired(
        ROUTES,
        "INSERT INTO routes SELECT line_number, remote_number, organization_id, agent_identity_id, id FROM connections
         WHERE remote_number = '+15551230003'",
        &[LINE],
    ),
    repaired(ROUTES, "UPDATE routes SET agent_identity_id = '00000000-0000-7000-8000-000000000009'", &[]),
    repaired(ROUTES, "UPDATE routes SET organization_id = 'org_c'", &[]),
    repaired(LINE, "UPDATE lines SET active_connections = active_connections + 1", &[]),
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
    Breakage {
        name: GAPLESS,
        sql: "DELETE FROM events WHERE organization_id = 'org_a' AND sequence = 2",
        besides: &[],
        left: &[GAPLESS],
    },
    Breakage {
        name: GAPLESS,
        sql: "UPDATE event_logs SET last_sequence = last_sequence + 1 WHERE organization_id = 'org_a'",
        besides: &[],
        left: &[GAPLESS],
    },
    Breakage {
        name: LOGGED,
        // The clock of the scene has moved on, that of the log has not.
        sql: concat!(
            "UPDATE events SET occurred_at = occurred_at + interval '60 days' WHERE sequence > 1;
             UPDATE events SET message_id = NULL WHERE type = 1 AND message_id = ",
            text!()
        ),
        besides: &[],
        left: &[LOGGED],
    },
];
