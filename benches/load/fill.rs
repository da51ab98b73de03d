//! Fills a database with conversations and messages of one organization with four identities.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, raw_sql};
use uuid::Uuid;

use crate::Result;

pub const ORGANIZATION: &str = "org_bench";
/// Number of identities that the conversations are spread over.
pub const IDENTITIES: u32 = 4;
/// Number of pool lines that the humans are spread over.
const LINES: u32 = 1_000;

/// Conversation `n` has the id `md5('c' || n)`, so that pgbench can compute the id from the number. All messages are
/// inbound and read. A tenth of the conversations have a blocked message as their newest.
const FILL: &str = "
    INSERT INTO identities SELECT 'org_bench', md5('i' || i)::uuid, 'bench-' || i, '', true, 1, now(), now()
        FROM generate_series(0, :identities - 1) i;
    INSERT INTO handles SELECT agent_handle, organization_id, id FROM identities WHERE organization_id = 'org_bench';
    INSERT INTO lines (number, role, active_connections, created_at)
        SELECT '+1202' || lpad(n::text, 7, '0'), CASE n WHEN 0 THEN 1 ELSE 2 END, 0, now()
        FROM generate_series(0, :lines) n;
    CREATE TEMPORARY TABLE threads AS
        SELECT n, md5('c' || n)::uuid AS id, md5('k' || n)::uuid AS connection,
               md5('i' || n % :identities)::uuid AS identity, '+1202' || lpad((n % :lines + 1)::text, 7, '0') AS line,
               '+1555' || lpad(n::text, 7, '0') AS human, now() - random() * interval '30 days' AS at,
               (n % 10 = 0)::int AS blocked
        FROM generate_series(1, :conversations) n ORDER BY random();
    INSERT INTO connections SELECT 'org_bench', connection, identity, line, human, NULL, at, at FROM threads;
    INSERT INTO routes SELECT line, human, 'org_bench', identity, connection FROM threads;
    INSERT INTO routed_organizations SELECT line, human, 'org_bench' FROM threads;
    INSERT INTO conversations (organization_id, id, agent_identity_id, remote_number, assignment_id,
            assignment_messaged, created_at, updated_at, latest_at, blocked_is_latest, clear_total, clear_received,
            clear_read, clear_read_before, clear_latest_id, clear_latest_at, clear_latest_direction, clear_latest_text,
            clear_latest_has_media, blocked_total, blocked_latest_id, blocked_latest_at, blocked_latest_text,
            blocked_latest_has_media)
        SELECT 'org_bench', id, identity, human, connection, true, at, at, at, blocked = 1, :each, :each, :each, :each,
               md5('m' || n || '-' || :each)::uuid, at - interval '1 s', 1, 'Is the invoice of last week on its way?',
               false, blocked, CASE blocked WHEN 1 THEN md5('b' || n)::uuid END, CASE blocked WHEN 1 THEN at END,
               CASE blocked WHEN 1 THEN 'blocked' END, CASE blocked WHEN 1 THEN false END
        FROM threads;
    INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
            provider_message_id, direction, received_number, is_blocked, text, transport, status, created_at, updated_at)
        SELECT 'org_bench', md5('m' || n || '-' || i)::uuid, id, identity, connection, line, 'm' || n || '-' || i, 1, i,
               false, 'Is the invoice of last week on its way?', 1, 9, t.at - (:each - i + 1) * interval '1 s', t.at
        FROM threads t, generate_series(1, :each) i;
    INSERT INTO messages (organization_id, id, conversation_id, agent_identity_id, assignment_id, line_number,
            provider_message_id, direction, received_number, is_blocked, text, transport, status, created_at, updated_at)
        SELECT 'org_bench', md5('b' || n)::uuid, id, identity, connection, line, 'b' || n, 1, NULL, true, 'blocked', 1, 9,
               t.at, t.at
        FROM threads t WHERE blocked = 1;";

/// Fills an empty, migrated database in which the organization exists.
pub async fn fill(options: &PgConnectOptions, conversations: u32, messages: u32) -> Result<()> {
    let each = (messages / conversations).max(1);
    let statements = FILL
        .replace(":identities", &IDENTITIES.to_string())
        .replace(":lines", &LINES.to_string())
        .replace(":conversations", &conversations.to_string())
        .replace(":each", &each.to_string());
    let mut connection = options.connect().await?;
    raw_sql(AssertSqlSafe(statements)).execute(&mut connection).await?;
    settle(&mut connection).await?;
    Ok(connection.close().await?)
}

/// Vacuums and analyzes every table, as autovacuum does on a busy database, so that a round does not pay for the dead rows
/// of another.
pub async fn settle(connection: &mut PgConnection) -> Result<()> {
    for table in ["conversations", "messages", "connections", "routes", "identities", "lines"] {
        raw_sql(AssertSqlSafe(format!("VACUUM ANALYZE {table}"))).execute(&mut *connection).await?;
    }
    raw_sql("CHECKPOINT").execute(connection).await?;
    Ok(())
}

/// Gives each conversation `count` unread messages, by moving its horizon back.
pub async fn unread(options: &PgConnectOptions, count: u32) -> Result<()> {
    let mut connection = options.connect().await?;
    let statement = format!(
        "UPDATE conversations SET clear_received = greatest(clear_received, {count}),
                clear_read = greatest(clear_received, {count}) - {count},
                clear_read_before = greatest(clear_received, {count}) - {count}"
    );
    raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await?;
    settle(&mut connection).await?;
    Ok(connection.close().await?)
}

/// A conversation that calls refer to.
#[derive(Debug, Clone)]
pub struct Target {
    pub conversation: Uuid,
    pub line: String,
    pub human: String,
}

/// Every conversation, in random order.
pub async fn targets(options: &PgConnectOptions) -> Result<Vec<Target>> {
    let mut connection = options.connect().await?;
    let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
        "SELECT c.id, k.line_number, c.remote_number
         FROM conversations c JOIN connections k ON k.organization_id = c.organization_id AND k.id = c.assignment_id
         WHERE c.organization_id = $1 ORDER BY random()",
    )
    .bind(ORGANIZATION)
    .fetch_all(&mut connection)
    .await?;
    connection.close().await?;
    Ok(rows.into_iter().map(|(conversation, line, human)| Target { conversation, line, human }).collect())
}
