//! `verify`: whether the database holds what it must.

use super::database_access::DatabaseAccess;
use super::error::CliError;
use super::print_status;
use crate::clock::{Clock as _, SystemClock};
use crate::config::DatabaseArgs;
use crate::maintenance::verify::{self, Broken, Mended, Report};
use crate::store::DatabaseTarget;
use crate::store::invariants::Breach;

/// What is asked of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// First rebuild what follows from other rows: summaries of conversations, routes, counts of lines.
    #[arg(long)]
    repair: bool,
}

pub(super) async fn verify(database: &DatabaseArgs, args: &VerifyArgs) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(database).await?;
    let done = async {
        let endpoint = access.endpoint().await?;
        if args.repair {
            repair(&endpoint).await?;
        }
        Ok::<_, CliError>(verify::verify(endpoint, SystemClock.now()).await?)
    }
    .await;
    access.end().await?;
    tell(&done?)
}

async fn repair(endpoint: &DatabaseTarget) -> Result<(), CliError> {
    let mended = verify::repair(endpoint, SystemClock.now()).await?;
    if mended.is_empty() {
        print_status("nothing was mended");
    }
    for Mended { invariant, count } in mended {
        print_status(&format!("mended: {invariant}: {count}"));
    }
    Ok(())
}

fn tell(report: &Report) -> Result<(), CliError> {
    for Broken { invariant, can_be_mended, count, examples } in &report.broken {
        let examples: Vec<_> = examples.iter().map(name).collect();
        let remedy = if *can_be_mended { "--repair mends it" } else { "--repair cannot mend it" };
        print_status(&format!("broken: {invariant}: {count} ({remedy}): {}", examples.join(" ")));
    }
    let looked_at = format!("looked at {} organizations, {} rows", report.organizations, report.rows);
    match report.broken.len() {
        0 => {
            print_status(&format!("{looked_at}: everything holds"));
            Ok(())
        }
        1 => Err(CliError::Failed(format!("{looked_at}: 1 invariant is broken"))),
        broken => Err(CliError::Failed(format!("{looked_at}: {broken} invariants are broken"))),
    }
}

/// Whose, and which.
fn name(breach: &Breach) -> String {
    match &breach.organization_id {
        Some(organization_id) => format!("{organization_id}/{}", breach.id),
        None => breach.id.clone(),
    }
}
