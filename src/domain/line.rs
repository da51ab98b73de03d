//! Lines: the phone numbers that messages are sent from.

use super::wire_enum::wire_enum;

wire_enum! {
    LineRole {
        /// Receives commands (`connect`, `disconnect`, `list`). There is at most one router line.
        Router = 1,
        /// Carries conversations between humans and agents.
        Pool = 2,
    }
}

wire_enum! {
    /// The carrier of a line: the service that delivers its messages to phones. Chosen when the line is added. A line
    /// changes it only by being removed and added again.
    CarrierKind {
        /// Reaches no phone; for tests and development.
        Sandbox = 1,
        /// Sendblue's API.
        Sendblue = 2,
        /// A self-hosted BlueBubbles server on a Mac.
        BlueBubbles = 3,
    }
}

impl LineRole {
    /// The role's name in commands.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Router => "router",
            Self::Pool => "pool",
        }
    }
}

impl CarrierKind {
    /// The carrier's name in settings, logs and metrics.
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
