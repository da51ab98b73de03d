//! Enums that are stored and sent as small numbers.

/// Declares an enum whose numbers are those of the enum of the same name in `proto/inkbox/imessage/v1`, where there
/// is one, in the database as on the wire, so that neither side needs a table of translations.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i16)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $number,)+
        }

        impl $name {
            /// The number that stands for this value in the database and on the wire.
            #[must_use]
            pub const fn number(self) -> i16 {
                self as i16
            }

            /// The value that a number stands for; `None` for unspecified (0) and for unknown numbers.
            #[must_use]
            pub const fn from_number(number: i16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The value of a protobuf enum field; `None` for unspecified (0) and for unknown numbers.
            #[must_use]
            pub fn from_wire(number: i32) -> Option<Self> {
                i16::try_from(number).ok().and_then(Self::from_number)
            }
        }

        impl From<$name> for i32 {
            fn from(value: $name) -> Self {
                Self::from(value.number())
            }
        }
    };
}
pub(crate) use wire_enum;
