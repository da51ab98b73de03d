//! Views: the messages that a caller sees.

use super::Tenant;

/// The set of messages that a call shows. Preview, order, unread count, total and list membership are computed in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Blocked and non-blocked messages.
    All,
    /// Non-blocked messages.
    Allowed,
    /// Blocked messages.
    Blocked,
    /// No messages: an identity key that requests blocked messages.
    Empty,
}

impl View {
    /// The view of a caller whose request has this `is_blocked` filter.
    #[must_use]
    pub const fn of(tenant: &Tenant, is_blocked: Option<bool>) -> Self {
        if tenant.identity_id.is_some() { Self::of_identity(is_blocked) } else { Self::of_admin(is_blocked) }
    }

    /// Admin keys: absent = all, true = blocked only, false = non-blocked only.
    const fn of_admin(is_blocked: Option<bool>) -> Self {
        match is_blocked {
            None => Self::All,
            Some(true) => Self::Blocked,
            Some(false) => Self::Allowed,
        }
    }

    /// Identity keys never see blocked messages: absent and false = non-blocked, true = none.
    const fn of_identity(is_blocked: Option<bool>) -> Self {
        match is_blocked {
            Some(true) => Self::Empty,
            None | Some(false) => Self::Allowed,
        }
    }

    /// The view's name in the binding of page tokens. Must not change: tokens stay valid during a rolling deployment.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Allowed => "clear",
            Self::Blocked => "blocked",
            Self::Empty => "nothing",
        }
    }

    /// Whether the view contains messages that are blocked, or that are not.
    #[must_use]
    pub const fn shows(self, is_blocked: bool) -> bool {
        match self {
            Self::All => true,
            Self::Allowed => !is_blocked,
            Self::Blocked => is_blocked,
            Self::Empty => false,
        }
    }
}
