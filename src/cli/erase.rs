//! `erase`: erases one human's data from one organization.

use std::sync::Arc;

use super::database_access::DatabaseAccess;
use super::error::CliError;
use super::output::print_status;
use super::rows::check_organization;
use crate::clock::Clock;
use crate::config::DatabaseArgs;
use crate::domain::{AuditedChange, PhoneNumber};
use crate::maintenance::erase::{self, Erased, Subject};
use crate::store::retention::SubjectCounts;
use crate::store::{self, Database, audit};

#[derive(Debug, clap::Args)]
pub(super) struct EraseArgs {
    /// Organization to erase the data from.
    #[arg(long, value_name = "ID")]
    org: String,
    /// Phone number of the human in E.164 form.
    #[arg(long, value_name = "NUMBER")]
    number: String,
    /// Keep contact rules for the number, so that a blocked number stays blocked.
    #[arg(long)]
    keep_rules: bool,
    /// Count the data without erasing it.
    #[arg(long)]
    dry_run: bool,
}

pub(super) async fn erase(database: &DatabaseArgs, args: EraseArgs) -> Result<(), CliError> {
    let remote_number = PhoneNumber::parse_subscriber(&args.number)
        .map_err(|error| CliError::Usage(format!("--number {error}")))?;
    let subject = Subject { organization_id: args.org.into(), remote_number, keep_rules: args.keep_rules };
    let access = DatabaseAccess::connect(database).await?;
    let summary = async {
        let db = access.open().await?;
        check_organization(&db, &subject.organization_id).await?;
        if args.dry_run {
            count(&db, &subject).await
        } else {
            erase_all(&db, &access.clock().await?, &subject).await
        }
    }
    .await;
    access.end().await?;
    print_status(&summary?);
    Ok(())
}

/// The number is not printed, because the output may end up in logs.
fn nothing_found(subject: &Subject) -> CliError {
    CliError::Failed(format!("no data about this number in {}", subject.organization_id))
}

/// What there is to erase.
async fn counts(db: &Database, subject: &Subject) -> Result<SubjectCounts, CliError> {
    let mut counts = SubjectCounts::default();
    for form in subject.remote_number.forms() {
        counts = counts + store::retention::count_subject(db, &subject.organization_id, &form).await?;
    }
    let contact_rules = if subject.keep_rules { 0 } else { counts.contact_rules };
    Ok(SubjectCounts { contact_rules, ..counts })
}

async fn count(db: &Database, subject: &Subject) -> Result<String, CliError> {
    let counts = counts(db, subject).await?;
    if counts == SubjectCounts::default() {
        return Err(nothing_found(subject));
    }
    let SubjectCounts { connections, active, conversations, messages, contact_rules } = counts;
    Ok(format!(
        "found in {}: connections {connections} (active {active}), conversations {conversations}, \
         messages {messages}, contact rules {contact_rules}; dry run, nothing erased",
        subject.organization_id
    ))
}

async fn erase_all(db: &Database, clock: &Arc<dyn Clock>, subject: &Subject) -> Result<String, CliError> {
    // Without the number, which the log would keep beyond the erasure.
    let rules = if subject.keep_rules { "contact rules kept" } else { "" };
    let organization_id = &subject.organization_id;
    if counts(db, subject).await? != SubjectCounts::default() {
        audit::record(db, AuditedChange::of(organization_id, "human.erase", organization_id, rules)).await?;
    }
    let erased = erase::erase(db, clock, subject).await?;
    if erased.is_nothing() {
        return Err(nothing_found(subject));
    }
    let Erased { connections, released, conversations, messages, reactions, idempotency_keys, contact_rules } =
        erased;
    Ok(format!(
        "erased from {}: connections {connections} (active {released}), conversations {conversations}, \
         messages {messages}, reactions {reactions}, idempotency keys {idempotency_keys}, \
         contact rules {contact_rules}",
        subject.organization_id
    ))
}
