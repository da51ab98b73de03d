//! `erase`: one human's data of one organization.

use std::sync::Arc;

use super::database_access::DatabaseAccess;
use super::error::CliError;
use super::print_status;
use crate::clock::{Clock, SystemClock};
use crate::config::DatabaseArgs;
use crate::domain::{OrganizationId, PhoneNumber};
use crate::maintenance::erase::{self, Erased, Subject};
use crate::store;
use crate::store::Database;
use crate::store::erasure::Known;

/// What is asked of `erase`.
#[derive(Debug, clap::Args)]
pub(super) struct EraseArgs {
    /// Organization whose data it is.
    #[arg(long, value_name = "ID")]
    org: String,
    /// Number of the human, E.164.
    #[arg(long, value_name = "NUMBER")]
    number: String,
    /// Keep contact rules for the number, so that who was blocked stays blocked.
    #[arg(long)]
    keep_rules: bool,
    /// Only count what there is.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn erase(database: &DatabaseArgs, args: EraseArgs) -> Result<(), CliError> {
    let remote_number =
        PhoneNumber::parse(&args.number).map_err(|error| CliError::Usage(format!("--number {error}")))?;
    let subject = Subject { organization_id: args.org.into(), remote_number, keep_rules: args.keep_rules };
    let access = DatabaseAccess::connect(database).await?;
    let done = async {
        let db = access.open().await?;
        organization_exists(&db, &subject.organization_id).await?;
        if args.dry_run { count(&db, &subject).await } else { erase_all(&db, &subject).await }
    }
    .await;
    access.end().await?;
    print_status(&done?);
    Ok(())
}

async fn organization_exists(db: &Database, id: &OrganizationId) -> Result<(), CliError> {
    if store::organizations::exists(db, id).await? {
        Ok(())
    } else {
        Err(CliError::Failed(format!("there is no organization {id}")))
    }
}

/// The number is not repeated: what is printed here ends in logs.
fn nothing(subject: &Subject) -> CliError {
    CliError::Failed(format!("{} has nothing about this number", subject.organization_id))
}

async fn count(db: &Database, subject: &Subject) -> Result<String, CliError> {
    let known = store::erasure::known(db, &subject.organization_id, &subject.remote_number).await?;
    let contact_rules = if subject.keep_rules { 0 } else { known.contact_rules };
    let known = Known { contact_rules, ..known };
    if known == Known::default() {
        return Err(nothing(subject));
    }
    let Known { connections, active, conversations, messages, contact_rules } = known;
    Ok(format!(
        "{} has about this number: connections {connections} (active {active}), conversations {conversations}, \
         messages {messages}, contact rules {contact_rules}; nothing was erased",
        subject.organization_id
    ))
}

async fn erase_all(db: &Database, subject: &Subject) -> Result<String, CliError> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let erased = erase::erase(db, &clock, subject).await?;
    if erased.is_nothing() {
        return Err(nothing(subject));
    }
    let Erased { connections, released, conversations, messages, reactions, idempotency_keys, contact_rules } =
        erased;
    Ok(format!(
        "erased from {}: connections {connections} (released for it {released}), conversations {conversations}, \
         messages {messages}, reactions {reactions}, idempotency keys {idempotency_keys}, \
         contact rules {contact_rules}",
        subject.organization_id
    ))
}
