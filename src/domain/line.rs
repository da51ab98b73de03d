//! The phone numbers we send from.

use super::wire_enum::wire_enum;

wire_enum! {
    /// What a line is for.
    LineRole {
        /// Takes commands (`connect`, `disconnect`, `list`). There is at most one.
        Router = 1,
        /// Carries the threads between humans and agents.
        Pool = 2,
    }
}

wire_enum! {
    /// Who takes what we send from a line to the phones. Chosen when the line is added, for good.
    CarrierKind {
        /// Reaches no phone, see `line::Sandbox`.
        Sandbox = 1,
        /// Sendblue's API.
        Sendblue = 2,
        /// A BlueBubbles server on a Mac of one's own.
        BlueBubbles = 3,
    }
}

impl CarrierKind {
    /// Its name in settings, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Sendblue => "sendblue",
            Self::BlueBubbles => "bluebubbles",
        }
    }
}

impl std::fmt::Display for CarrierKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
