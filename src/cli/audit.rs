//! `audit`: who changed what.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::database_access::{DatabaseAccess, OperatorArgs};
use super::error::CliError;
use super::rows::check_organization;
use super::table::{OutputArgs, Table, time};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Age;
use crate::domain::{Actor, OrganizationId};
use crate::store::Database;
use crate::store::audit::{self, Entry, Position};

#[derive(Debug, clap::Subcommand)]
pub(super) enum AuditCommand {
    /// List the changes that API keys and operators made, the oldest first.
    List {
        /// The changes of this organization.
        #[arg(long, value_name = "ID", conflicts_with = "global", required_unless_present = "global")]
        org: Option<String>,
        /// The changes of lines and router keys, which belong to no organization.
        #[arg(long)]
        global: bool,
        /// Only the changes of the last time, such as `7d` or `12h`; `off` = all that are kept.
        #[arg(long, default_value = "off", value_name = "TIME")]
        since: Age,
        #[command(flatten)]
        output: OutputArgs,
        #[command(flatten)]
        operator: OperatorArgs,
    },
}

impl AuditCommand {
    pub(super) const fn operator(&self) -> &OperatorArgs {
        let Self::List { operator, .. } = self;
        operator
    }

    pub(super) async fn run(self) -> Result<(), CliError> {
        let Self::List { org, since, output, operator, .. } = self;
        let org = org.map(OrganizationId::from);
        let since = since.0.map_or(DateTime::UNIX_EPOCH, |age| SystemClock.now() - age);
        list(&operator, org, since, output).await
    }
}

async fn list(
    operator: &OperatorArgs,
    org: Option<OrganizationId>,
    since: DateTime<Utc>,
    output: OutputArgs,
) -> Result<(), CliError> {
    let access = DatabaseAccess::connect(&operator.database).await?;
    let listed = async {
        let db = access.open().await?;
        if let Some(org) = &org {
            check_organization(&db, org).await?;
        }
        entries(&db, org.as_ref(), since).await
    }
    .await;
    access.end().await?;
    let columns = ["occurred_at", "key_id", "operator", "action", "subject", "detail"];
    Table::new(columns, listed?.into_iter().map(row)).print(output);
    Ok(())
}

async fn entries(
    db: &Database,
    org: Option<&OrganizationId>,
    since: DateTime<Utc>,
) -> Result<Vec<Entry>, CliError> {
    let mut all = Vec::new();
    let mut after = Position::at(since);
    loop {
        let page = audit::list(db, org, after).await?;
        let Some(last) = page.last() else { return Ok(all) };
        after = last.position;
        all.extend(page);
    }
}

fn row(entry: Entry) -> [Value; 6] {
    let (key, operator) = match entry.actor {
        Actor::Key(id) => (id.to_string().into(), Value::Null),
        Actor::Operator(name) => (Value::Null, name.into()),
    };
    [
        time(entry.position.occurred_at),
        key,
        operator,
        entry.action.into(),
        entry.subject.into(),
        entry.detail.into(),
    ]
}
