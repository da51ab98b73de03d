//! Types generated from `proto/inkbox/imessage/v1`, where every item is documented.
#![allow(
    missing_docs,
    clippy::large_enum_variant,
    clippy::pedantic,
    unreachable_pub,
    reason = "generated code"
)]

tonic::include_proto!("inkbox.imessage.v1");

impl ErrorReason {
    /// The reason as `ErrorInfo` carries it: the name in the proto without its prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.as_str_name().trim_start_matches("ERROR_REASON_")
    }

    /// Every reason that an error can have, by number. Numbers in between are reserved for features to come.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..64).filter_map(|number| Self::try_from(number).ok())
    }
}

/// The compiled proto files with their comments, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
