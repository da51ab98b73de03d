//! Compiles `proto/` with protox, a compiler in Rust, so that a build needs no `protoc` on the machine.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;

const PROTO_DIR: &str = "proto";
const PACKAGE_DIR: &str = "proto/inkbox/imessage/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={PROTO_DIR}");
    // sqlx reads both at compile time, and cargo does not notice a new file by itself.
    println!("cargo::rerun-if-changed=migrations");
    println!("cargo::rerun-if-changed=.sqlx");

    let mut files = Vec::new();
    for entry in fs::read_dir(PACKAGE_DIR)? {
        files.push(entry?.path());
    }
    files.sort();

    let descriptors = protox::compile(&files, [PROTO_DIR])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        .codec_path("crate::grpc::wire::codec::ContractCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
