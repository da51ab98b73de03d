//! Contact rules.

use uuid::Uuid;

use super::Failure;
use crate::domain::{RuleAction, RuleOnNumber, RuleStatus};

/// Reads the rule that an outer join found for a number, if it found one.
pub(super) fn rule_on_number(
    id: Option<Uuid>,
    action: Option<i16>,
    status: Option<i16>,
) -> Result<Option<RuleOnNumber>, Failure> {
    let (Some(id), Some(action), Some(status)) = (id, action, status) else { return Ok(None) };
    let corrupt = |column| Failure::Corrupt { table: "contact_rules", column, id };
    Ok(Some(RuleOnNumber {
        id: id.into(),
        action: RuleAction::from_number(action).ok_or_else(|| corrupt("action"))?,
        status: RuleStatus::from_number(status).ok_or_else(|| corrupt("status"))?,
    }))
}
