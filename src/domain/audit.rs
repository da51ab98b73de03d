//! Who changed what.

use super::{ApiKeyId, OrganizationId};

/// Who makes changes that are audited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The API key of a call.
    Key(ApiKeyId),
    /// An operator who runs a command, by the name of the account.
    Operator(String),
}

/// A change, for the audit log. Names what was changed by its id, and has neither secrets nor the number of a human.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditedChange {
    /// The organization that it concerns; `None` for lines and router keys, which belong to none.
    pub organization_id: Option<OrganizationId>,
    /// What was done, such as `contact_rule.create`.
    pub action: &'static str,
    /// Id of what was changed, or the number of a line.
    pub subject: String,
    /// What was set, for people; empty if the action says it.
    pub detail: String,
}

impl AuditedChange {
    /// A change of something that belongs to an organization.
    pub fn of(
        organization_id: &OrganizationId,
        action: &'static str,
        subject: &(impl ToString + ?Sized),
        detail: impl Into<String>,
    ) -> Self {
        let organization_id = Some(organization_id.clone());
        Self { organization_id, action, subject: subject.to_string(), detail: detail.into() }
    }

    /// A change of something that belongs to no organization.
    pub fn global(
        action: &'static str,
        subject: &(impl ToString + ?Sized),
        detail: impl Into<String>,
    ) -> Self {
        Self { organization_id: None, action, subject: subject.to_string(), detail: detail.into() }
    }
}
