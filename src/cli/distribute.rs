//! `distribute`: distributes the tables over the nodes of a Citus cluster.

use super::database_access::DatabaseAccess;
use super::error::CliError;
use super::output::print_status;
use crate::config::DatabaseArgs;
use crate::store::citus;

pub(super) async fn distribute(args: &DatabaseArgs) -> Result<(), CliError> {
    args.can_migrate().map_err(CliError::Usage)?;
    let access = DatabaseAccess::connect(args).await?;
    let done = citus::distribute(access.options()).await;
    access.end().await?;
    let tables = done.map_err(|error| CliError::Failed(error.to_string()))?;
    match tables.as_slice() {
        [] => print_status("all tables are already distributed"),
        tables => print_status(&format!("distributed: {}", tables.join(", "))),
    }
    Ok(())
}
