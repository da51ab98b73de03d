//! Who may reach an identity.

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{FilterMode, IdentityId, PhoneNumber, RuleId};

wire_enum! {
    /// What a contact rule does with its number.
    RuleAction {
        /// Lets the number in under a whitelist; inert under a blacklist.
        Allow = 1,
        /// Keeps the number out under a blacklist; inert under a whitelist.
        Block = 2,
    }
}

wire_enum! {
    /// Whether a contact rule has any effect.
    RuleStatus {
        /// In force.
        Active = 1,
        /// No effect, but the number's slot stays taken.
        Paused = 2,
    }
}

/// A contact rule, as a caller sees it.
#[derive(Debug, Clone)]
pub struct ContactRule {
    /// Its id.
    pub id: RuleId,
    /// The identity it protects.
    pub agent_identity_id: IdentityId,
    /// What it does.
    pub action: RuleAction,
    /// The number it is for.
    pub match_target: PhoneNumber,
    /// Whether it does it.
    pub status: RuleStatus,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When action or status last changed.
    pub updated_at: DateTime<Utc>,
}

/// The one rule that an identity has for a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleOnNumber {
    /// The rule.
    pub id: RuleId,
    /// What it does.
    pub action: RuleAction,
    /// Whether it does it.
    pub status: RuleStatus,
}

/// Whether a human and an identity may exchange messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// They may.
    Allowed,
    /// They may not: by the rule named, or by default where none is (a whitelist that does not name the number).
    Blocked {
        /// The block rule in force, where it was one.
        matched_rule_id: Option<RuleId>,
    },
}

impl Verdict {
    /// Whether the verdict is `Blocked`.
    #[must_use]
    pub const fn is_blocked(self) -> bool {
        matches!(self, Self::Blocked { .. })
    }
}

/// Decides for one number, from the identity's mode and the rule it has for that number. A paused rule and a rule
/// of the other mode's action count as no rule.
#[must_use]
pub fn verdict(mode: FilterMode, rule: Option<RuleOnNumber>) -> Verdict {
    let active = rule.filter(|rule| rule.status == RuleStatus::Active);
    match (mode, active) {
        (FilterMode::Blacklist, Some(RuleOnNumber { id, action: RuleAction::Block, .. })) => {
            Verdict::Blocked { matched_rule_id: Some(id) }
        }
        (FilterMode::Whitelist, Some(RuleOnNumber { action: RuleAction::Allow, .. }))
        | (FilterMode::Blacklist, _) => Verdict::Allowed,
        (FilterMode::Whitelist, _) => Verdict::Blocked { matched_rule_id: None },
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{FilterMode, RuleAction, RuleOnNumber, RuleStatus, Verdict, verdict};

    #[test]
    fn verdict_by_mode_action_and_status() {
        use FilterMode::{Blacklist, Whitelist};
        use RuleAction::{Allow, Block};
        use RuleStatus::{Active, Paused};

        let id = Uuid::from_u128(1).into();
        let by_default = Verdict::Blocked { matched_rule_id: None };
        let by_rule = Verdict::Blocked { matched_rule_id: Some(id) };
        let table = [
            (Blacklist, None, Verdict::Allowed),
            (Blacklist, Some((Allow, Active)), Verdict::Allowed),
            (Blacklist, Some((Allow, Paused)), Verdict::Allowed),
            (Blacklist, Some((Block, Active)), by_rule),
            (Blacklist, Some((Block, Paused)), Verdict::Allowed),
            (Whitelist, None, by_default),
            (Whitelist, Some((Allow, Active)), Verdict::Allowed),
            (Whitelist, Some((Allow, Paused)), by_default),
            (Whitelist, Some((Block, Active)), by_default),
            (Whitelist, Some((Block, Paused)), by_default),
        ];
        for (mode, rule, expected) in table {
            let rule = rule.map(|(action, status)| RuleOnNumber { id, action, status });
            assert_eq!(verdict(mode, rule), expected, "{mode:?} {rule:?}");
        }
    }
}
