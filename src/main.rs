//! The program. It only starts the command line of the library, see `cli`.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A call makes some hundred small allocations. docs/performance.md shows what this allocator saves.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    inkbox_imessage::cli::run().await
}
