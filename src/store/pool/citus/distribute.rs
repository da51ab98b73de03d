//! Distributes the tables of a database.
//!
//! These statements are not checked at compile time: they call functions of Citus, which is not installed where queries
//! are checked.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection as _, Executor, Postgres, query_as, query_scalar, raw_sql};

use super::detect::has_citus;
use super::layout::{FIRST, Placement, placement};
use crate::store::pool::migrations::{SchemaError, lock_schema, schema_is_current};

#[derive(Debug, thiserror::Error)]
pub enum NotDistributed {
    /// The database does not answer, or its schema is not current.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error(
        "this database has no Citus: make the extension on every node and name the nodes to this one, as in docs/scale.md"
    )]
    NoCitus,
    /// Sessions of the service use the tables.
    #[error(
        "{0} sessions of inkbox-imessage are on this database: stop the service first, and then repeat this"
    )]
    InUse(i64),
    /// Citus or PostgreSQL refused; no table was changed.
    #[error("nothing was distributed: {0}")]
    Refused(#[from] sqlx::Error),
}

/// Distributes the tables that are not distributed yet, all or none, and returns their names. Safe to repeat: an
/// interrupted run has no effect, and distributed tables stay as they are.
///
/// # Errors
/// See [`NotDistributed`].
pub async fn distribute(options: &PgConnectOptions) -> Result<Vec<String>, NotDistributed> {
    // The extension is checked first, so that its absence is not reported as a missing migration.
    let mut connection = lock_schema(options).await?;
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
    connection.close().await?;
    distributed
}

/// Tables that exist only on the coordinator although others are distributed, because a later migration created them.
/// Empty if no table is distributed.
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

/// The tables of the service, first those that others are co-located with. Tables without a comment in its form are not
/// of the service, such as shards.
async fn tables<C>(connection: &mut C) -> sqlx::Result<Vec<Table>>
where
    for<'e> &'e mut C: Executor<'e, Database = Postgres>,
{
    let rows: Vec<(String, String, bool)> = query_as(
        "SELECT c.relname::text, coalesce(obj_description(c.oid, 'pg_class'), ''),
                -- A local table that refers to a reference table is listed as well, and stays local.
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

/// One transaction, so that an interruption leaves nothing behind. Foreign keys are dropped before and added again after:
/// Citus refuses one between a distributed table and one that is not distributed yet, in whatever order.
async fn place(connection: &mut PgConnection, missing: &[&Table]) -> sqlx::Result<()> {
    let names: Vec<&str> = missing.iter().map(|table| table.name.as_str()).collect();
    let mut transaction = connection.begin().await?;
    // One connection to each node, so that it sees earlier changes of the transaction.
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
                    .bind(colocate_with(&table.name, column))
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

/// The table to co-locate a table with; `none` for the first of each column.
fn colocate_with(table: &str, column: &str) -> &'static str {
    let first = FIRST.iter().find(|(of, first)| *of == column && *first != table);
    first.map_or("none", |(_, first)| first)
}

/// Deletes the local rows that distributing copied to the nodes; nothing reads them any more.
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
