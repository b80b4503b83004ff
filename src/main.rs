//! The `indexer` program.

use std::process::ExitCode;

/// What is free goes back to the system, whichever thread it was used by.
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    contextd_indexer::cli::run(std::env::args_os())
}
