//! Views: which messages a caller sees.

/// The messages that count for one call. Preview, order, unread, total and membership are all computed inside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Blocked or not.
    All,
    /// Non-blocked only.
    Clear,
    /// Blocked only.
    Blocked,
    /// None: what an identity key gets when it asks for blocked messages.
    Nothing,
}

impl View {
    /// What an admin key sees: absent = all, true = blocked only, false = non-blocked only.
    #[must_use]
    pub const fn of_admin(is_blocked: Option<bool>) -> Self {
        match is_blocked {
            None => Self::All,
            Some(true) => Self::Blocked,
            Some(false) => Self::Clear,
        }
    }

    /// What an identity key sees: non-blocked messages, whatever it asks for.
    #[must_use]
    pub const fn of_identity(is_blocked: Option<bool>) -> Self {
        match is_blocked {
            Some(true) => Self::Nothing,
            None | Some(false) => Self::Clear,
        }
    }

    /// A name for page tokens, which are bound to the view.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Clear => "clear",
            Self::Blocked => "blocked",
            Self::Nothing => "nothing",
        }
    }
}
