//! The direction of messages and tapbacks.

use super::wire_enum::wire_enum;

wire_enum! {
    Direction {
        /// From the human.
        Inbound = 1,
        /// From the agent.
        Outbound = 2,
    }
}
