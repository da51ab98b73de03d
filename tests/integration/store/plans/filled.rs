//! A database with enough in it, and unevenly enough, that a wrong plan costs something: one large organization, four
//! middling ones, a thousand small ones.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, raw_sql};
use tokio::sync::OnceCell;

use crate::support::database;

/// The large organization, which most questions are about.
pub(super) const LARGE: &str = "org_large";
/// How many conversations it has, of three identities in equal parts.
pub(super) const CONVERSATIONS: u32 = 12_000;

/// Rows of every table that the hot queries read. Conversations lie in no order of time, as real ones do.
const FILL: &str = "
    CREATE TEMPORARY TABLE shape AS
        SELECT 'org_large' AS org, 3 AS identities, 4000 AS conversations
        UNION ALL SELECT 'org_middle_' || n, 2, 500 FROM generate_series(1, 4) n
        UNION ALL SELECT 'org_small_' || n, 1, 4 FROM generate_series(1, 1000) n;
    CREATE TEMPORARY TABLE agents AS
        SELECT org, i, md5(org || i)::uuid AS id, conversations FROM shape, generate_series(1, identities) i;
    CREATE TEMPORARY TABLE threads AS
        SELECT org, id AS identity, row_number() OVER () AS n, gen_random_uuid() AS id, gen_random_uuid() AS connection,
               now() - random() * interval '300 days' AS at, random() < 0.3 AS blocked, random() < 0.1 AS released
        FROM agents, generate_series(1, conversations);
    CREATE TEMPORARY TABLE mixed AS SELECT * FROM threads ORDER BY md5(n::text);
    INSERT INTO organizations SELECT org, now() FROM shape;
    INSERT INTO identities SELECT org, id, 'agent-' || org || i, '', true, 1, now() - i * interval '1 day', now()
        FROM agents;
    INSERT INTO identities SELECT 'org_large', gen_random_uuid(), 'idle-' || n, '', true, 1, now() - n * interval '1 day',
                                  now()
        FROM generate_series(4, 2000) n;
    INSERT INTO handles SELECT 'agent-' || org || i, org, id FROM agents;
    INSERT INTO lines SELECT '+1202555' || lpad(n::text, 4, '0'), CASE n WHEN 0 THEN 1 ELSE 2 END, n % 7, now()
        FROM generate_series(0, 999) n;
    INSERT INTO api_keys SELECT org, md5(id::text || n)::uuid, 2, id, '', 'ink_', now() - n * interval '1 hour'
        FROM agents, generate_series(1, CASE org WHEN 'org_large' THEN 200 ELSE 2 END) n;
    INSERT INTO key_digests SELECT sha256(id::text::bytea), id, scope, organization_id, agent_identity_id FROM api_keys;
    INSERT INTO connections SELECT org, connection, identity, '+1202555' || lpad((n % 999 + 1)::text, 4, '0'),
                                   '+1555' || lpad(n::text, 7, '0'), CASE WHEN released THEN now() END, at, at
        FROM mixed;
    INSERT INTO routes SELECT line_number, remote_number, organization_id, agent_identity_id, id FROM connections
        WHERE released_at IS NULL;
    INSERT INTO routed_organizations SELECT line_number, remote_number, organization_id FROM connections;
    INSERT INTO contact_rules SELECT org, gen_random_uuid(), identity, 2, '+1555' || lpad(n::text, 7, '0'), 1, at, at
        FROM mixed WHERE blocked;
    INSERT INTO conversations (organization_id, id, agent_identity_id, remote_number, assignment_id,
            assignment_released, created_at, updated_at, latest_at, blocked_is_latest, clear_total, clear_received,
            clear_latest_id, clear_latest_at, clear_latest_direction, clear_latest_text, clear_latest_has_media,
            blocked_total, blocked_latest_id, blocked_latest_at, blocked_latest_text, blocked_latest_has_media)
        SELECT org, id, identity, '+1555' || lpad(n::text, 7, '0'), connection, released, at, at, at, blocked, 1, 1,
               id, at - interval '1 s', 1, repeat('clear ', 20), false, blocked::int, CASE WHEN blocked THEN id END,
               CASE WHEN blocked THEN at END, CASE WHEN blocked THEN 'blocked' END, CASE WHEN blocked THEN false END
        FROM mixed;
    INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
            provider_message_id, direction, received_number, is_blocked, text, transport, status, created_at, updated_at)
        SELECT org, gen_random_uuid(), id, identity, connection, '+1202555' || lpad((n % 999 + 1)::text, 4, '0'),
               'text-' || n, 1, 1, false, repeat('clear ', 20), 1, 9, at - interval '1 s', at
        FROM mixed;
    INSERT INTO reactions SELECT organization_id, gen_random_uuid(), id, conversation_id, 1, 1, NULL, part, created_at
        FROM messages, generate_series(0, 1) part;
    INSERT INTO idempotency_keys SELECT organization_id, agent_identity_id, id::text, sha256(''), id, created_at, true
        FROM messages;
    INSERT INTO sent_messages SELECT line_number, provider_message_id, organization_id, id, created_at FROM messages;
    INSERT INTO router_commands SELECT '+12025550000', id::text, id, created_at FROM connections;
    INSERT INTO retention_progress SELECT org, gen_random_uuid(), gen_random_uuid() FROM shape;
    INSERT INTO discarded_conversations SELECT org, gen_random_uuid(), now() FROM shape;
    INSERT INTO forgotten_texts SELECT line_number, 'forgotten-' || id, created_at FROM messages;
    INSERT INTO tapback_texts SELECT line_number, 'tapback-' || provider_message_id, created_at FROM messages;
    INSERT INTO event_logs SELECT organization_id, count(*) FROM messages GROUP BY organization_id;
    INSERT INTO events (organization_id, sequence, id, type, occurred_at, agent_identity_id, conversation_id, message_id,
            is_blocked)
        SELECT organization_id, row_number() OVER (PARTITION BY organization_id ORDER BY created_at), gen_random_uuid(), 1,
               created_at, agent_identity_id, conversation_id, id, false
        FROM messages;
    CREATE TABLE sample AS
        SELECT c.organization_id AS org, c.agent_identity_id AS identity, c.id AS conversation, c.remote_number AS human,
               c.assignment_id AS connection, c.latest_at AS at, m.line_number AS line, m.provider_message_id AS provider_id,
               k.id AS key, sha256(k.id::text::bytea) AS digest, h.handle AS handle, gen_random_uuid() AS fresh
        FROM conversations c JOIN messages m ON m.conversation_id = c.id
        JOIN api_keys k ON k.agent_identity_id = c.agent_identity_id
        JOIN handles h ON h.agent_identity_id = c.agent_identity_id
        WHERE c.organization_id = 'org_large' AND NOT c.assignment_released AND c.blocked_total = 1 LIMIT 1;
    ANALYZE;";

static FILLED: OnceCell<PgConnectOptions> = OnceCell::const_new();

/// A session of a copy of the filled database.
pub(super) async fn session() -> PgConnection {
    let filled = FILLED.get_or_init(fill).await;
    database::copy(filled).await.connect().await.unwrap()
}

async fn fill() -> PgConnectOptions {
    let options = database::pristine().await;
    let mut connection = options.connect().await.unwrap();
    raw_sql(FILL).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    options
}

/// A value of the filled database, as a literal of SQL.
pub(super) async fn literal(session: &mut PgConnection, expression: &str) -> String {
    let query = AssertSqlSafe(format!("SELECT quote_nullable(({expression})::text)"));
    sqlx::query_scalar(query).fetch_one(session).await.unwrap()
}
