//! `migrate`: applies the missing migrations.

use super::database_access::DatabaseAccess;
use super::error::CliError;
use super::output::print_status;
use crate::config::DatabaseArgs;
use crate::store::citus::left_over;
use crate::store::{self, DbConnection, SchemaError};

pub(super) async fn migrate(args: &DatabaseArgs) -> Result<(), CliError> {
    args.can_migrate().map_err(CliError::Usage)?;
    let access = DatabaseAccess::connect(args).await?;
    let undistributed = async {
        store::migrate(access.options()).await?;
        let mut connection = DbConnection::open(access.unchecked_endpoint()).await?;
        Ok::<_, SchemaError>(left_over(&mut connection).await?)
    }
    .await;
    access.end().await?;
    let undistributed = undistributed?;
    print_status("the schema is up to date");
    if !undistributed.is_empty() {
        print_status(&format!(
            "tables that are not distributed, run `inkbox-imessage distribute`: {}",
            undistributed.join(", ")
        ));
    }
    Ok(())
}
