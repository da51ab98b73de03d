//! `verify`: checks and repairs the database.

use chrono::{DateTime, Utc};

use super::database_access::DatabaseAccess;
use super::error::CliError;
use super::output::print_status;
use crate::config::DatabaseArgs;
use crate::maintenance::verify::{self, Repaired, Report, ViolatedInvariant};
use crate::store::DatabaseTarget;
use crate::store::integrity::checks::Violation;

#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// First repair derived data: conversation summaries, routes, line counts.
    #[arg(long)]
    repair: bool,
}

pub(super) async fn verify(database: &DatabaseArgs, args: &VerifyArgs) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(database).await?;
    let report = async {
        let endpoint = access.endpoint().await?;
        let now = access.clock().await?.now();
        if args.repair {
            repair(&endpoint, now).await?;
        }
        Ok::<_, CliError>(verify::verify(endpoint, now).await?)
    }
    .await;
    access.end().await?;
    print(&report?)
}

async fn repair(endpoint: &DatabaseTarget, now: DateTime<Utc>) -> Result<(), CliError> {
    let repaired = verify::repair(endpoint, now).await?;
    if repaired.is_empty() {
        print_status("nothing repaired");
    }
    for Repaired { invariant, count } in repaired {
        print_status(&format!("repaired: {invariant}: {count}"));
    }
    Ok(())
}

fn print(report: &Report) -> Result<(), CliError> {
    for ViolatedInvariant { invariant, repairable, count, examples } in &report.violations {
        let examples: Vec<_> = examples.iter().map(qualified_id).collect();
        let remedy = if *repairable { "repairable with --repair" } else { "not repairable" };
        print_status(&format!("violated: {invariant}: {count} ({remedy}): {}", examples.join(" ")));
    }
    let checked = format!("checked {} organizations, {} rows", report.organizations, report.rows);
    match report.violations.len() {
        0 => {
            print_status(&format!("{checked}: no violations found"));
            Ok(())
        }
        1 => Err(CliError::Failed(format!("{checked}: 1 invariant is violated"))),
        count => Err(CliError::Failed(format!("{checked}: {count} invariants are violated"))),
    }
}

fn qualified_id(violation: &Violation) -> String {
    match &violation.organization_id {
        Some(organization_id) => format!("{organization_id}/{}", violation.id),
        None => violation.id.clone(),
    }
}
