//! `line pause`, `line resume` and `line remove`.

use super::super::database_access::OperatorArgs;
use super::super::error::CliError;
use super::super::output::print_status;
use super::{parse_number, with_database};
use crate::clock::{Clock as _, SystemClock};
use crate::store::lines::{self, NotPausable, NotRemoved};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct NumberArgs {
    /// The number of the line in E.164 form.
    number: String,
    #[command(flatten)]
    pub(super) operator: OperatorArgs,
}

pub(super) async fn pause(args: &NumberArgs) -> Result<(), CliError> {
    let number = parse_number(&args.number)?;
    let now = SystemClock.now();
    let paused = with_database(&args.operator, async |db| lines::pause(db, &number, now).await).await?;
    paused.map_err(not_pausable)?;
    print_status("paused line");
    Ok(())
}

pub(super) async fn resume(args: &NumberArgs) -> Result<(), CliError> {
    let number = parse_number(&args.number)?;
    let resumed = with_database(&args.operator, async |db| lines::resume(db, &number).await).await?;
    resumed.map_err(not_pausable)?;
    print_status("resumed line");
    Ok(())
}

pub(super) async fn remove(args: &NumberArgs) -> Result<(), CliError> {
    let number = parse_number(&args.number)?;
    let removed = with_database(&args.operator, async |db| lines::remove(db, &number).await).await?;
    removed.map_err(not_removed)?;
    print_status("removed line");
    Ok(())
}

fn not_pausable(reason: NotPausable) -> CliError {
    CliError::Failed(match reason {
        NotPausable::Unknown => "this number is not a line".to_owned(),
        NotPausable::Router => "this is the router line, which has no connections".to_owned(),
    })
}

fn not_removed(reason: NotRemoved) -> CliError {
    CliError::Failed(match reason {
        NotRemoved::Unknown => "this number is not a line".to_owned(),
        NotRemoved::InUse(1) => "this line has 1 active connection: pause it until that ends".to_owned(),
        NotRemoved::InUse(count) => {
            format!("this line has {count} active connections: pause it until they end")
        }
    })
}
