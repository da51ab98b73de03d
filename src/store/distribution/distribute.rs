//! Turning the tables of a database into distributed ones.
//!
//! Unchecked statements: what they call is Citus', which is not there where queries are checked.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor, Postgres, query_as, query_scalar, raw_sql};

use super::layout::{FIRST, Placement, placement};
use crate::store::migrations::{SchemaError, alone, schema_is_current};

/// Why tables were not distributed.
#[derive(Debug, thiserror::Error)]
pub enum NotDistributed {
    /// The database does not answer, or its schema is not current.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The extension is not there.
    #[error(
        "this database has no Citus: make the extension on every node and name the nodes to this one, as in docs/scale.md"
    )]
    NoCitus,
    /// The service works on the tables.
    #[error(
        "{0} sessions of inkbox-imessage are on this database: stop the service first, and then repeat this"
    )]
    InUse(i64),
    /// Citus or PostgreSQL refused; no table was moved.
    #[error("nothing was distributed: {0}")]
    Refused(#[from] sqlx::Error),
}

/// Distributes the tables that are not yet, all or none, and gives their names. Safe to repeat: what was interrupted was not
/// begun, and what is done stays as it is.
///
/// # Errors
/// See [`NotDistributed`].
pub async fn distribute(options: &PgConnectOptions) -> Result<Vec<String>, NotDistributed> {
    // The extension first: who has none, is not to be sent to `migrate`.
    let mut connection = alone(options).await?;
    let distributed = async {
        if !has_citus(&mut connection).await? {
            return Err(NotDistributed::NoCitus);
        }
        schema_is_current(options).await?;
        let tables = tables(&mut connection).await?;
        let missing: Vec<&Table> = tables.iter().filter(|table| table.is_missing()).collect();
        if !missing.is_empty() {
            no_service(&mut connection).await?;
            place(&mut connection, &missing).await?;
        }
        for table in tables.iter().filter(|table| table.placement != Placement::Coordinator) {
            remove_local_rows(&mut connection, &table.name).await?;
        }
        Ok(missing.iter().map(|table| table.name.clone()).collect())
    }
    .await;
    // The lock goes with the session.
    connection.close().await?;
    distributed
}

/// Tables that are on the coordinator alone although others are distributed: migrations made them since. None where
/// nothing is distributed.
///
/// # Errors
/// The driver's.
pub async fn left_over<'c, C>(connection: &'c mut C) -> sqlx::Result<Vec<String>>
where
    for<'e> &'e mut C: Executor<'e, Database = Postgres>,
{
    if !has_citus(connection).await? {
        return Ok(Vec::new());
    }
    let tables = tables(connection).await?;
    let some = tables.iter().any(|table| table.is_distributed);
    Ok(tables.into_iter().filter(|table| some && table.is_missing()).map(|table| table.name).collect())
}

/// Whether the extension is in the database.
pub(in crate::store) async fn has_citus<C>(connection: &mut C) -> sqlx::Result<bool>
where
    for<'e> &'e mut C: Executor<'e, Database = Postgres>,
{
    query_scalar("SELECT EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'citus')")
        .fetch_one(&mut *connection)
        .await
}

/// A table of ours.
struct Table {
    name: String,
    placement: Placement,
    is_distributed: bool,
}

impl Table {
    fn is_missing(&self) -> bool {
        !self.is_distributed && self.placement != Placement::Coordinator
    }
}

/// All of them, with those first that others are put beside. Whatever has no comment of ours is not ours: shards have none.
async fn tables<C>(connection: &mut C) -> sqlx::Result<Vec<Table>>
where
    for<'e> &'e mut C: Executor<'e, Database = Postgres>,
{
    let rows: Vec<(String, String, bool)> = query_as(
        "SELECT c.relname::text, coalesce(obj_description(c.oid, 'pg_class'), ''),
                -- What refers to a table that is everywhere is noted as well, and stays where it is.
                p.logicalrelid IS NOT NULL AND (p.partmethod, p.repmodel) <> ('n', 's')
         FROM pg_class c
         LEFT JOIN pg_catalog.pg_dist_partition p ON p.logicalrelid = c.oid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
         ORDER BY c.relname <> ALL ($1), c.relname",
    )
    .bind(FIRST.map(|(_, first)| first))
    .fetch_all(&mut *connection)
    .await?;
    let ours = rows.into_iter().filter_map(|(name, comment, is_distributed)| {
        let placement = placement(&name, &comment)?;
        Some(Table { name, placement, is_distributed })
    });
    Ok(ours.collect())
}

async fn no_service(connection: &mut PgConnection) -> Result<(), NotDistributed> {
    let sessions: i64 = query_scalar(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'inkbox-imessage' AND pid <> pg_backend_pid()",
    )
    .fetch_one(connection)
    .await?;
    if sessions > 0 { Err(NotDistributed::InUse(sessions)) } else { Ok(()) }
}

/// In one transaction, so that an interruption leaves nothing behind. Foreign keys are taken off before and put back after:
/// whichever table were first, they would lead from or to one that is not distributed yet, which is refused.
async fn place(connection: &mut PgConnection, missing: &[&Table]) -> sqlx::Result<()> {
    let names: Vec<&str> = missing.iter().map(|table| table.name.as_str()).collect();
    let mut transaction = connection.begin().await?;
    // One connection to each node, which sees what the transaction did before.
    raw_sql("SET LOCAL citus.multi_shard_modify_mode = 'sequential'").execute(&mut *transaction).await?;
    let keys: Vec<(String, String, String)> = query_as(
        "SELECT conrelid::regclass::text, quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
         WHERE contype = 'f' AND connamespace = 'public'::regnamespace
           AND (conrelid::regclass::text = ANY ($1) OR confrelid::regclass::text = ANY ($1))",
    )
    .bind(&names)
    .fetch_all(&mut *transaction)
    .await?;
    for (table, name, _) in &keys {
        let drop = AssertSqlSafe(format!("ALTER TABLE {table} DROP CONSTRAINT {name}"));
        raw_sql(drop).execute(&mut *transaction).await?;
    }
    for table in missing {
        tracing::info!(table = table.name, "distributing");
        match table.placement {
            Placement::Everywhere => {
                sqlx::query("SELECT create_reference_table($1::text)")
                    .bind(&table.name)
                    .execute(&mut *transaction)
                    .await?
            }
            Placement::Spread(column) => {
                sqlx::query("SELECT create_distributed_table($1::text, $2, colocate_with => $3)")
                    .bind(&table.name)
                    .bind(column)
                    .bind(beside(&table.name, column))
                    .execute(&mut *transaction)
                    .await?
            }
            Placement::Coordinator => continue,
        };
    }
    for (table, name, definition) in &keys {
        let add = AssertSqlSafe(format!("ALTER TABLE {table} ADD CONSTRAINT {name} {definition}"));
        raw_sql(add).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

/// The table beside which another one is put; none for the first of each kind.
fn beside(table: &str, column: &str) -> &'static str {
    let first = FIRST.iter().find(|(of, first)| *of == column && *first != table);
    first.map_or("none", |(_, first)| first)
}

/// Removes what distributing copied to the nodes and left behind here, which nothing reads any more.
async fn remove_local_rows(connection: &mut PgConnection, table: &str) -> sqlx::Result<()> {
    sqlx::query(
        "SELECT truncate_local_data_after_distributing_table($1::text::regclass)
         WHERE pg_relation_size($1::text::regclass) > 0",
    )
    .bind(table)
    .execute(connection)
    .await?;
    Ok(())
}
