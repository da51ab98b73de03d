//! Identifiers. Each kind has its own type, so that the compiler rejects an id in the place of another kind.

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

/// An organization: opaque text such as `org_acme`. Reference-counted, because every call clones it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrganizationId(Arc<str>);

impl OrganizationId {
    /// Maximum length of an id that an operator chooses.
    pub const MAX_CHARACTERS: usize = 255;

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
            /// The hyphenated form. Avoids the formatting machinery of `to_string`: a page has hundreds of ids.
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
    IdentityId;
    /// `assignment_id` on the wire.
    ConnectionId;
    ConversationId;
    MessageId;
    ReactionId;
    RuleId;
    ApiKeyId;
    EventId;
}
