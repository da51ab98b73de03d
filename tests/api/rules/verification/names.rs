//! The names of the invariants, as `verify` prints them.

pub(super) const ROUTES: &str = "routes match the active connections";
pub(super) const CANONICAL_CONNECTION: &str = "the number of a connection is canonical";
pub(super) const CANONICAL_RULE: &str = "the number of a contact rule is canonical";
pub(super) const ONCE: &str = "at most one active connection per identity and human";
pub(super) const POOL_LINE: &str = "the line of an active connection is a known pool line";
pub(super) const REMEMBERED: &str = "every connection has a routed_organizations row";
pub(super) const FORGOTTEN: &str = "every routed_organizations row has a connection";
pub(super) const BEGINS: &str = "a conversation has at least one message";
pub(super) const COUNTS: &str = "the counters of a conversation match its messages";
pub(super) const SHOWS: &str = "the previews of a conversation match the newest message of each view";
pub(super) const BOUNDS: &str = "conversation counters satisfy 0 <= read <= received <= total";
pub(super) const SETTLED: &str =
    "clear_settled is not above the read horizon, and no message up to it is newer than clear_settled_at";
pub(super) const NUMBERED: &str =
    "the received numbers of a conversation are 1 to n without gaps or duplicates";
pub(super) const ON_CONNECTION: &str =
    "the connection of a conversation has its identity and human, and the released flags match";
pub(super) const ON_ACTIVE: &str =
    "a conversation refers to the active connection of its identity and human, if there is one";
pub(super) const MESSAGED: &str =
    "assignment_messaged matches the messages received on the connection of the conversation";
pub(super) const DISCARDED: &str = "a discarded conversation has no row in conversations";
pub(super) const IN_CONVERSATION: &str = "a message has a conversation, unless that was discarded";
pub(super) const OF_IDENTITY: &str = "a message has the identity of its conversation";
pub(super) const BY_LINE: &str =
    "the connection of a message has the identity and human of its conversation, and the line of the message";
pub(super) const RECEIVED: &str =
    "inbound messages are RECEIVED and have a provider message id, outbound messages are never RECEIVED";
pub(super) const IN_FLIGHT: &str = "only a pending outbound message is in flight";
pub(super) const FINDABLE: &str =
    "an accepted outbound message is found by its provider message id for 7 days";
pub(super) const ONE_OWNER: &str = "an inbound message is stored in one organization only";
pub(super) const SAID: &str = "bodies of messages past retention are redacted";
pub(super) const REVISED: &str =
    "only an edited or retracted message has an original text, and a retracted one has no text and no files";
pub(super) const REPLY: &str = "a reply refers to a message of the same conversation";
pub(super) const IDEMPOTENCY: &str = "an idempotency key refers to a message that its identity sent";
pub(super) const REACTION: &str = "a reaction has the conversation of its message";
pub(super) const ONE_LIVE: &str = "at most one live reaction per message part and direction";
pub(super) const EMOJI: &str = "custom emoji of reactions past retention are redacted";
pub(super) const ONE_RULE: &str = "at most one contact rule per identity and number";
pub(super) const LINE: &str = "lines.active_connections matches the routes of the line";
pub(super) const FOUND: &str =
    "a sent_messages row refers to an outbound message with the same line and provider message id";
pub(super) const COMMAND: &str = "the connection of a router command exists";
pub(super) const HANDLE: &str = "identities and handles match";
pub(super) const KEY: &str = "key digests match the organization keys that are not revoked";
pub(super) const ROUTER_KEY: &str = "key digests match the router keys that are not revoked";
pub(super) const EPOCH: &str = "the key epoch has a row";
pub(super) const GAPLESS: &str =
    "the events of an organization are numbered without gaps up to the head of its log";
pub(super) const LOGGED: &str =
    "a message that was stored since the oldest event of its organization has the events of its status";
