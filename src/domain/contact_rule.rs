//! Contact rules: which numbers may exchange messages with an identity.

use chrono::{DateTime, Utc};

use super::wire_enum::wire_enum;
use super::{FilterMode, IdentityId, PhoneNumber, RuleId};

wire_enum! {
    RuleAction {
        /// Allows the number in whitelist mode; no effect in blacklist mode.
        Allow = 1,
        /// Blocks the number in blacklist mode; no effect in whitelist mode.
        Block = 2,
    }
}

wire_enum! {
    RuleStatus {
        /// The rule has an effect.
        Active = 1,
        /// The rule has no effect, but no other rule can be created for its number.
        Paused = 2,
    }
}

#[derive(Debug, Clone)]
pub struct ContactRule {
    pub id: RuleId,
    pub agent_identity_id: IdentityId,
    pub action: RuleAction,
    /// The number that the rule applies to.
    pub match_target: PhoneNumber,
    pub status: RuleStatus,
    pub created_at: DateTime<Utc>,
    /// Time of the last change of action or status.
    pub updated_at: DateTime<Utc>,
}

/// The rule that an identity has for one number; there is at most one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleOnNumber {
    pub id: RuleId,
    pub action: RuleAction,
    pub status: RuleStatus,
}

/// Whether a human and an identity may exchange messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Allowed,
    Blocked {
        /// The rule that blocks the number. `None` in whitelist mode, where numbers without an active rule are blocked.
        matched_rule_id: Option<RuleId>,
    },
}

impl Verdict {
    #[must_use]
    pub const fn is_blocked(self) -> bool {
        matches!(self, Self::Blocked { .. })
    }
}

/// Decides whether a number is blocked, from the identity's mode and its rule for the number. A paused rule, and a rule
/// whose action belongs to the other mode, count as no rule.
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

/// What one rule must do that replaces two for the same human. An active block wins, since nobody may be reached who was
/// blocked; then an active rule; of two paused ones the block.
#[must_use]
pub fn merged(one: RuleOnNumber, other: RuleOnNumber) -> (RuleAction, RuleStatus) {
    let both = [one, other];
    let is_active = |rule: &RuleOnNumber| rule.status == RuleStatus::Active;
    let blocks = |rule: &RuleOnNumber| rule.action == RuleAction::Block;
    let status = if both.iter().any(is_active) { RuleStatus::Active } else { RuleStatus::Paused };
    let is_blocked = both.iter().any(|rule| rule.status == status && blocks(rule));
    (if is_blocked { RuleAction::Block } else { RuleAction::Allow }, status)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{FilterMode, RuleAction, RuleOnNumber, RuleStatus, Verdict, merged, verdict};

    #[test]
    fn of_two_rules_the_active_block_wins() {
        use RuleAction::{Allow, Block};
        use RuleStatus::{Active, Paused};

        let rule = |(action, status)| RuleOnNumber { id: Uuid::from_u128(1).into(), action, status };
        for (one, other, expected) in [
            ((Block, Active), (Allow, Active), (Block, Active)),
            ((Block, Active), (Block, Paused), (Block, Active)),
            ((Allow, Active), (Block, Paused), (Allow, Active)),
            ((Allow, Active), (Allow, Active), (Allow, Active)),
            ((Allow, Paused), (Block, Paused), (Block, Paused)),
            ((Allow, Paused), (Allow, Paused), (Allow, Paused)),
        ] {
            assert_eq!(merged(rule(one), rule(other)), expected, "{one:?} {other:?}");
            assert_eq!(merged(rule(other), rule(one)), expected, "{other:?} {one:?}");
        }
    }

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
