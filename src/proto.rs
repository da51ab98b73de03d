//! The contract, generated from `proto/inkbox/imessage/v1`. Every item is documented there.
#![allow(missing_docs, clippy::pedantic, unreachable_pub, reason = "generated code")]

tonic::include_proto!("inkbox.imessage.v1");

/// The compiled contract with its comments, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
