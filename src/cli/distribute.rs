//! `distribute`: the tables are spread over the nodes of a Citus cluster.

use super::operator::Access;
use super::{Failure, say};
use crate::config::DatabaseArgs;
use crate::store::citus;

pub(super) async fn distribute(args: &DatabaseArgs) -> Result<(), Failure> {
    args.can_migrate().map_err(Failure::Usage)?;
    let access = Access::to(args).await?;
    let done = citus::distribute(access.options()).await;
    access.end().await?;
    let tables = done.map_err(|error| Failure::Failed(error.to_string()))?;
    match tables.as_slice() {
        [] => say("every table is distributed already"),
        tables => say(&format!("distributed: {}", tables.join(", "))),
    }
    Ok(())
}
