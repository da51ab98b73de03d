//! Enums with the same numbers in the database and on the wire.

/// Declares an enum whose numbers are used both in the database and on the wire. If `proto/inkbox/imessage/v1` has an enum
/// of the same name, the numbers must be equal; no translation table exists.
macro_rules! wire_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $number:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i16)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $number,)+
        }

        impl $name {
            /// The value's number in the database and on the wire.
            #[must_use]
            pub const fn number(self) -> i16 {
                self as i16
            }

            /// `None` for unspecified (0) and for unknown numbers.
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
