//! Types and pure rules of the service. Nothing here knows gRPC, SQL or carriers, so each rule is tested without them.

mod api_key;
mod audit;
mod connection;
mod contact_rule;
mod conversation;
mod direction;
mod eligibility;
mod event;
#[cfg(test)]
mod fuzz;
mod handle;
mod idempotency_key;
mod identity;
mod ids;
mod line;
mod media;
mod message;
mod opt_out;
mod page;
mod phone_number;
mod principal;
mod reaction;
mod revision;
mod router_command;
mod thread;
mod view;
mod wire_enum;

pub use api_key::{ApiKey, ApiKeyScope, KeyDigest, Secret};
pub use audit::{Actor, AuditedChange};
pub use connection::{AssignmentStatus, Connection};
pub use contact_rule::{ContactRule, RuleAction, RuleOnNumber, RuleStatus, Verdict, merged, verdict};
pub use conversation::{Conversation, ConversationSummary, Latest, PREVIEW_CHARACTERS, beginning, preview};
pub use direction::Direction;
pub use eligibility::{Eligibility, Ineligible, RecipientEligibility};
pub use event::{EventType, NewEvent, Subject};
pub use handle::{Handle, InvalidHandle};
pub use idempotency_key::IdempotencyKey;
pub use identity::{FilterMode, Identity, MAX_DISPLAY_NAME_CHARACTERS};
pub use ids::{
    ApiKeyId, ConnectionId, ConversationId, EventId, IdentityId, MessageId, OrganizationId, ReactionId,
    RuleId,
};
pub use line::{CarrierKind, LineRole};
pub use media::{MAX_MEDIA, Media, with_missing_files};
pub use message::{
    DeliveryError, DeliveryStatus, MAX_PARTS, MAX_TEXT_CHARACTERS, MAX_URL_CHARACTERS, Message,
    MessageOrigin, SendStyle, Transport,
};
pub use opt_out::OptOutKeyword;
pub use page::{Cursor, MAX_RESPONSE_BYTES, Page, PageRequest, Start, TimeRange};
pub use phone_number::{FORMER_FORMS, InvalidPhoneNumber, NoNumber, PhoneNumber};
pub use principal::{Principal, Tenant};
pub use reaction::{Reaction, ReactionType};
pub use revision::Content;
pub use router_command::RouterCommand;
pub use thread::{Thread, ThreadOwner};
pub use view::View;
