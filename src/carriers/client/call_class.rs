//! The classes of calls whose failures are counted apart.

use crate::carriers::carrier::Action;

/// What a call does. Each class has its own circuit breaker: a carrier that answers look-ups may fail to send, and the
/// other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::carriers) enum CallClass {
    /// Messages and tapbacks.
    Send,
    /// Read receipts and typing.
    Signal,
    Lookup,
}

impl CallClass {
    pub(in crate::carriers) const ALL: [Self; 3] = [Self::Send, Self::Signal, Self::Lookup];

    /// The name in the log.
    pub(in crate::carriers) const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Signal => "signal",
            Self::Lookup => "look_up",
        }
    }
}

impl From<Action<'_>> for CallClass {
    fn from(action: Action<'_>) -> Self {
        match action {
            Action::Message(_) | Action::Reaction(_) | Action::ReactionRemoval(_) => Self::Send,
            Action::ReadReceipt | Action::Typing | Action::TypingStop => Self::Signal,
        }
    }
}
