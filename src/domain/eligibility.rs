//! The order of checks before a call that reaches a human's phone.

use super::{ConnectionId, RuleId, Verdict};

/// Why a call may not reach the human's phone, in the order of the checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ineligible {
    IdentityNotEnabled,
    RecipientBlocked {
        /// `None` if the default of the filter mode blocks.
        matched_rule_id: Option<RuleId>,
    },
    ConnectionReleased,
    /// The human has asked for no more messages, and only the human can take that back.
    RecipientOptedOut,
    /// No connection and no conversation. The command connects the human.
    RecipientNotConnected {
        connect_command: String,
    },
    /// The human must send the first message on each connection.
    RecipientHasNotMessaged,
}

/// The state of a conversation that decides whether its human may be reached, read as one snapshot.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact, which one check reads")]
pub struct Eligibility {
    pub imessage_enabled: bool,
    pub verdict: Verdict,
    /// The newest connection of the conversation.
    pub connection_id: ConnectionId,
    pub is_released: bool,
    /// Whether the human has asked for no more messages.
    pub has_opted_out: bool,
    /// Whether the human has sent a message on that connection that was not blocked.
    pub has_inbound: bool,
}

impl Eligibility {
    /// The checks of every call. They are all that a read receipt needs: it is no message to a human who has opted out.
    ///
    /// # Errors
    /// `IdentityNotEnabled`, `RecipientBlocked`, `ConnectionReleased`.
    pub fn check_receipt(&self) -> Result<(), Ineligible> {
        check_identity(self.imessage_enabled, self.verdict)?;
        if self.is_released { Err(Ineligible::ConnectionReleased) } else { Ok(()) }
    }

    /// The checks of a call that the human did not ask for: those of every call, and that the human has not opted out. The
    /// connection comes first, since connecting again is also the way back for a human who has opted out.
    ///
    /// # Errors
    /// Those of [`Self::check_receipt`], then `RecipientOptedOut`.
    pub fn check(&self) -> Result<(), Ineligible> {
        self.check_receipt()?;
        if self.has_opted_out { Err(Ineligible::RecipientOptedOut) } else { Ok(()) }
    }

    /// The checks of a call about a message: [`Self::check`], and that the connection which carried the message is the
    /// active one, because the carrier's message id has no meaning on another line.
    ///
    /// # Errors
    /// Those of [`Self::check`].
    pub fn check_on(&self, carried_by: ConnectionId) -> Result<(), Ineligible> {
        self.check()?;
        if self.connection_id == carried_by { Ok(()) } else { Err(Ineligible::ConnectionReleased) }
    }

    /// The checks of a send: [`Self::check`], and that the human has sent a message on the connection.
    ///
    /// # Errors
    /// Those of [`Self::check`], then `RecipientHasNotMessaged`.
    pub fn check_send(&self) -> Result<(), Ineligible> {
        self.check()?;
        if self.has_inbound { Ok(()) } else { Err(Ineligible::RecipientHasNotMessaged) }
    }
}

/// The state of an identity and a number that decides whether a send to the number may reach the human.
#[derive(Debug, Clone)]
pub struct RecipientEligibility {
    /// For the command that connects the human.
    pub agent_handle: String,
    pub imessage_enabled: bool,
    pub verdict: Verdict,
    pub is_connected: bool,
    pub conversation: Option<Eligibility>,
}

impl RecipientEligibility {
    /// The checks of a send.
    ///
    /// # Errors
    /// Any of [`Ineligible`].
    pub fn check_send(&self) -> Result<(), Ineligible> {
        check_identity(self.imessage_enabled, self.verdict)?;
        match (self.is_connected, &self.conversation) {
            (false, Some(_)) => Err(Ineligible::ConnectionReleased),
            (false, None) => Err(Ineligible::RecipientNotConnected {
                connect_command: format!("connect @{}", self.agent_handle),
            }),
            (true, None) => Err(Ineligible::RecipientHasNotMessaged),
            (true, Some(conversation)) => conversation.check_send(),
        }
    }
}

fn check_identity(imessage_enabled: bool, verdict: Verdict) -> Result<(), Ineligible> {
    if !imessage_enabled {
        return Err(Ineligible::IdentityNotEnabled);
    }
    if let Verdict::Blocked { matched_rule_id } = verdict {
        return Err(Ineligible::RecipientBlocked { matched_rule_id });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Eligibility, Ineligible, RecipientEligibility};
    use crate::domain::{ConnectionId, Verdict};

    const ALLOWED: Verdict = Verdict::Allowed;
    const BLOCKED: Verdict = Verdict::Blocked { matched_rule_id: None };

    fn connection(number: u128) -> ConnectionId {
        Uuid::from_u128(number).into()
    }

    fn disabled() -> Result<(), Ineligible> {
        Err(Ineligible::IdentityNotEnabled)
    }

    fn blocked() -> Result<(), Ineligible> {
        Err(Ineligible::RecipientBlocked { matched_rule_id: None })
    }

    fn released() -> Result<(), Ineligible> {
        Err(Ineligible::ConnectionReleased)
    }

    fn opted_out() -> Result<(), Ineligible> {
        Err(Ineligible::RecipientOptedOut)
    }

    fn silent() -> Result<(), Ineligible> {
        Err(Ineligible::RecipientHasNotMessaged)
    }

    #[test]
    fn the_checks_of_a_conversation_come_in_their_order() {
        // enabled, verdict, (released, opted out, has inbound); a receipt, any other call, a call about a message of
        // another connection, a send
        let table = [
            (false, BLOCKED, (true, true, false), disabled(), disabled(), disabled(), disabled()),
            (true, BLOCKED, (true, true, false), blocked(), blocked(), blocked(), blocked()),
            (true, ALLOWED, (true, true, false), released(), released(), released(), released()),
            (true, ALLOWED, (false, true, false), Ok(()), opted_out(), opted_out(), opted_out()),
            (true, ALLOWED, (false, false, false), Ok(()), Ok(()), released(), silent()),
            (true, ALLOWED, (false, false, true), Ok(()), Ok(()), released(), Ok(())),
        ];
        for (
            imessage_enabled,
            verdict,
            (is_released, has_opted_out, has_inbound),
            receipt,
            any,
            about,
            send,
        ) in table
        {
            let state = Eligibility {
                imessage_enabled,
                verdict,
                connection_id: connection(1),
                is_released,
                has_opted_out,
                has_inbound,
            };
            assert_eq!(state.check_receipt(), receipt, "{state:?}");
            assert_eq!(state.check(), any, "{state:?}");
            assert_eq!(state.check_on(connection(1)), any, "{state:?}");
            assert_eq!(state.check_on(connection(2)), about, "{state:?}");
            assert_eq!(state.check_send(), send, "{state:?}");
        }
    }

    #[test]
    fn the_checks_of_a_recipient_come_in_their_order() {
        let not_connected =
            || Err(Ineligible::RecipientNotConnected { connect_command: "connect @ada".to_owned() });
        // enabled, verdict, connected, conversation with (released, opted out, has inbound); a send
        let table = [
            (false, BLOCKED, false, None, disabled()),
            (true, BLOCKED, false, None, blocked()),
            (true, ALLOWED, false, Some((true, true, true)), released()),
            (true, ALLOWED, false, None, not_connected()),
            (true, ALLOWED, true, None, silent()),
            (true, ALLOWED, true, Some((true, true, true)), released()),
            (true, ALLOWED, true, Some((false, true, true)), opted_out()),
            (true, ALLOWED, true, Some((false, false, false)), silent()),
            (true, ALLOWED, true, Some((false, false, true)), Ok(())),
        ];
        for (imessage_enabled, verdict, is_connected, conversation, send) in table {
            let conversation = conversation.map(|(is_released, has_opted_out, has_inbound)| Eligibility {
                imessage_enabled,
                verdict,
                connection_id: connection(1),
                is_released,
                has_opted_out,
                has_inbound,
            });
            let agent_handle = "ada".to_owned();
            let state =
                RecipientEligibility { agent_handle, imessage_enabled, verdict, is_connected, conversation };
            assert_eq!(state.check_send(), send, "{state:?}");
        }
    }
}
