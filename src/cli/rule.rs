//! `rule`: contact rules, which say whom an identity may exchange messages with.

use clap::ValueEnum;
use serde_json::Value;
use uuid::Uuid;

use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::output::print_status;
use super::rows::{all_rows, check_organization, until_sent};
use super::table::{OutputArgs, Table, time};
use crate::clock::{Clock as _, SystemClock};
use crate::domain::{ContactRule, IdentityId, OrganizationId, PhoneNumber, RuleAction, RuleId, RuleStatus};
use crate::store::connections::SendsOf;
use crate::store::{Created, Database, contact_rules, identities};

#[derive(Debug, clap::Subcommand)]
pub(super) enum RuleCommand {
    /// List the rules of an organization, newest first. The numbers are personal data.
    List {
        /// The organization.
        #[arg(long, value_name = "ID")]
        org: String,
        /// Only those of this identity.
        #[arg(long, value_name = "ID")]
        identity: Option<Uuid>,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Allow or block a number. Returns when messages on their way that the rule forbids have ended.
    Create {
        action: Action,
        /// The human's number in E.164 form.
        number: String,
        /// The organization.
        #[arg(long, value_name = "ID")]
        org: String,
        /// The identity.
        #[arg(long, value_name = "ID")]
        identity: Uuid,
        #[command(flatten)]
        operator: OperatorArgs,
    },
    /// Delete a rule.
    Delete {
        /// Id of the rule.
        id: Uuid,
        /// Its organization.
        #[arg(long, value_name = "ID")]
        org: String,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Action {
    Allow,
    Block,
}

impl From<Action> for RuleAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Allow => Self::Allow,
            Action::Block => Self::Block,
        }
    }
}

impl RuleCommand {
    pub(super) const fn operator(&self) -> &OperatorArgs {
        match self {
            Self::List { operator, .. } | Self::Create { operator, .. } | Self::Delete { operator, .. } => {
                operator
            }
        }
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        match self {
            Self::List { org, identity, output, operator } => {
                list(&operator, org.into(), identity.map(Into::into), output).await
            }
            Self::Create { action, number, org, identity, operator } => {
                create(&operator, action, &number, org.into(), identity.into()).await
            }
            Self::Delete { id, org, operator } => delete(&operator, id.into(), org.into()).await,
        }
    }
}

async fn list(
    operator: &OperatorArgs,
    org: OrganizationId,
    identity: Option<IdentityId>,
    output: OutputArgs,
) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(&operator.database).await?;
    let listed = async {
        let db = access.open().await?;
        check_organization(&db, &org).await?;
        all_rows(async |page| contact_rules::list(&db, &org, identity, &page).await).await
    }
    .await;
    access.end().await?;
    let columns = ["id", "identity", "action", "number", "status", "created_at"];
    Table::new(columns, listed?.iter().map(row)).print(output);
    Ok(())
}

fn row(rule: &ContactRule) -> [Value; 6] {
    let action = match rule.action {
        RuleAction::Allow => "allow",
        RuleAction::Block => "block",
    };
    let status = match rule.status {
        RuleStatus::Active => "active",
        RuleStatus::Paused => "paused",
    };
    [
        rule.id.to_string().into(),
        rule.agent_identity_id.to_string().into(),
        action.into(),
        rule.match_target.as_str().into(),
        status.into(),
        time(rule.created_at),
    ]
}

async fn create(
    operator: &OperatorArgs,
    action: Action,
    number: &str,
    org: OrganizationId,
    identity: IdentityId,
) -> Result<(), CliError> {
    let match_target = PhoneNumber::parse_subscriber(number)
        .map_err(|error| CliError::Usage(format!("the number {error}")))?;
    let now = SystemClock.now();
    let rule = ContactRule {
        id: SystemClock.new_id().into(),
        agent_identity_id: identity,
        action: action.into(),
        match_target,
        status: RuleStatus::Active,
        created_at: now,
        updated_at: now,
    };
    let access = DatabaseAccess::connect(&operator.database).await?;
    let created = async { insert(&access.open().await?, &org, rule).await }.await;
    access.end().await?;
    print_status(&format!("created rule {}", created?));
    Ok(())
}

async fn insert(db: &Database, org: &OrganizationId, rule: ContactRule) -> Result<RuleId, CliError> {
    let identity = rule.agent_identity_id;
    if identities::current(db, org, identity).await?.is_none() {
        return Err(CliError::Failed(format!("{org} has no identity {identity}")));
    }
    match contact_rules::create(db, org, rule).await? {
        Created::New(rule) => {
            until_sent(db, org, SendsOf::Recipient(identity, &rule.match_target)).await?;
            Ok(rule.id)
        }
        Created::Conflict { existing_id } => {
            let existing = existing_id.map(|id| format!(": {id}")).unwrap_or_default();
            Err(CliError::Failed(format!("the identity has a rule for this number{existing}")))
        }
    }
}

async fn delete(operator: &OperatorArgs, id: RuleId, org: OrganizationId) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(&operator.database).await?;
    let deleted = async {
        let db = access.open().await?;
        let deleted = contact_rules::delete(&db, &org, id).await?;
        let rule = deleted.ok_or_else(|| CliError::Failed(format!("{org} has no rule {id}")))?;
        until_sent(&db, &org, SendsOf::Recipient(rule.agent_identity_id, &rule.match_target)).await
    }
    .await;
    access.end().await?;
    deleted?;
    print_status("deleted rule");
    Ok(())
}
