//! Identifiers. Each kind is a type of its own, so that one can never stand where another belongs.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// An organization: opaque text such as `org_acme`, never parsed. Cheap to clone, since every call carries one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrganizationId(Arc<str>);

impl OrganizationId {
    /// The longest id that an operator may choose, in characters.
    pub const MAX_CHARACTERS: usize = 255;

    /// The id as text, as it is stored and sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for OrganizationId {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for OrganizationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The bare uuid, for storage and page tokens.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for String {
            /// As it is sent: the digits alone, without what `to_string` spends on formatting. A page has hundreds.
            fn from(id: $name) -> Self {
                id.0.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

uuid_id! {
    /// An agent.
    IdentityId;
    /// One human on one pool line with one identity; `assignment_id` on the wire.
    ConnectionId;
    /// One identity and one human, for ever.
    ConversationId;
    /// One message.
    MessageId;
    /// One tapback.
    ReactionId;
    /// One contact rule.
    RuleId;
    /// One API key (never its secret).
    ApiKeyId;
}
