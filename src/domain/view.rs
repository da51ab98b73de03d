//! Views: which messages a caller sees.

use super::Tenant;

/// The messages that count for one call. Preview, order, unread, total and membership are all computed inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// Blocked or not.
    All,
    /// Non-blocked only.
    Allowed,
    /// Blocked only.
    Blocked,
    /// None: what an identity key gets when it asks for blocked messages.
    Empty,
}

impl View {
    /// What a caller sees.
    #[must_use]
    pub const fn of(tenant: &Tenant, is_blocked: Option<bool>) -> Self {
        if tenant.identity_id.is_some() { Self::of_identity(is_blocked) } else { Self::of_admin(is_blocked) }
    }

    /// An admin key: absent = all, true = blocked only, false = non-blocked only.
    const fn of_admin(is_blocked: Option<bool>) -> Self {
        match is_blocked {
            None => Self::All,
            Some(true) => Self::Blocked,
            Some(false) => Self::Allowed,
        }
    }

    /// An identity key: non-blocked messages, whatever it asks for.
    const fn of_identity(is_blocked: Option<bool>) -> Self {
        match is_blocked {
            Some(true) => Self::Empty,
            None | Some(false) => Self::Allowed,
        }
    }

    /// A name for page tokens, which are bound to the view.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Allowed => "clear",
            Self::Blocked => "blocked",
            Self::Empty => "nothing",
        }
    }

    /// Whether a message that is blocked, or one that is not, is in the view.
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
