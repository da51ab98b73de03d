//! `line list`.

use serde_json::Value;

use super::super::database_access::OperatorArgs;
use super::super::error::CliError;
use super::super::table::{OutputArgs, Table, time};
use super::with_database;
use crate::store::lines::{self, Line};

pub(super) async fn list(operator: &OperatorArgs, output: OutputArgs) -> Result<(), CliError> {
    let lines = with_database(operator, async |db| lines::list(db).await).await?;
    let columns = ["number", "role", "carrier", "connections", "paused_at", "created_at"];
    Table::new(columns, lines.iter().map(row)).print(output);
    Ok(())
}

fn row(line: &Line) -> [Value; 6] {
    [
        line.number.as_str().into(),
        line.role.name().into(),
        line.carrier.name().into(),
        line.active_connections.into(),
        line.paused_at.map_or(Value::Null, time),
        time(line.created_at),
    ]
}
