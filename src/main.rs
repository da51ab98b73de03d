//! The program. Everything is in the library; see `cli`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A call makes and drops some hundred small pieces of memory: docs/performance.md tells what it gains.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    inkbox_imessage::cli::run().await
}
