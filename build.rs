//! Compiles `proto/` with protox, a compiler in Rust, so that a build needs no `protoc` on the machine.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;
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
    set_version();
    tonic_prost_build::configure()
        .codec_path("crate::grpc::wire::codec::ContractCodec")
        .compile_fds(descriptors)?;
    Ok(())
}

/// Sets `VERSION_AND_COMMIT`, which `--version` prints: the version and the commit. A package build names the commit in
/// `INKBOX_COMMIT`, since it may have no repository. Debug builds have none: each commit would rebuild the crate.
fn set_version() {
    println!("cargo::rerun-if-env-changed=INKBOX_COMMIT");
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let named = env::var("INKBOX_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = named.or_else(|| if is_release { checked_out_commit() } else { None });
    let version = commit.map_or_else(|| version.clone(), |commit| format!("{version} ({commit})"));
    println!("cargo::rustc-env=VERSION_AND_COMMIT={version}");
}

/// The commit that is checked out; `None` without git or a repository.
fn checked_out_commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output =
            Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    // A line is added to this file with each commit and each checkout.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}
