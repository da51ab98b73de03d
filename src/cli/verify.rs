//! `verify`: whether the database holds what it must.

use super::operator::{Access, storage_failure};
use super::{Failure, say};
use crate::clock::{Clock as _, SystemClock};
use crate::config::DatabaseArgs;
use crate::store::Endpoint;
use crate::store::integrity::checks::Breach;
use crate::verification::{self, Broken, Mended, Report};

/// What is asked of `verify`.
#[derive(Debug, clap::Args)]
pub(super) struct VerifyArgs {
    /// First rebuild what follows from other rows: summaries of conversations, routes, counts of lines.
    #[arg(long)]
    repair: bool,
}

pub(super) async fn verify(database: &DatabaseArgs, args: &VerifyArgs) -> Result<(), Failure> {
    let access = Access::to(database).await?;
    let done = async {
        let endpoint = access.endpoint().await?;
        if args.repair {
            repair(&endpoint).await?;
        }
        verification::verify(endpoint, SystemClock.now()).await.map_err(storage_failure)
    }
    .await;
    access.end().await?;
    tell(&done?)
}

async fn repair(endpoint: &Endpoint) -> Result<(), Failure> {
    let mended = verification::repair(endpoint, SystemClock.now()).await.map_err(storage_failure)?;
    if mended.is_empty() {
        say("nothing was mended");
    }
    for Mended { invariant, count } in mended {
        say(&format!("mended: {invariant}: {count}"));
    }
    Ok(())
}

fn tell(report: &Report) -> Result<(), Failure> {
    for Broken { invariant, can_be_mended, count, examples } in &report.broken {
        let examples: Vec<_> = examples.iter().map(name).collect();
        let remedy = if *can_be_mended { "--repair mends it" } else { "--repair cannot mend it" };
        say(&format!("broken: {invariant}: {count} ({remedy}): {}", examples.join(" ")));
    }
    let looked_at = format!("looked at {} organizations, {} rows", report.organizations, report.rows);
    match report.broken.len() {
        0 => {
            say(&format!("{looked_at}: everything holds"));
            Ok(())
        }
        1 => Err(Failure::Failed(format!("{looked_at}: 1 invariant is broken"))),
        broken => Err(Failure::Failed(format!("{looked_at}: {broken} invariants are broken"))),
    }
}

/// Whose, and which.
fn name(breach: &Breach) -> String {
    match &breach.organization_id {
        Some(organization_id) => format!("{organization_id}/{}", breach.id),
        None => breach.id.clone(),
    }
}
