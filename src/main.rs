//! The `indexer` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    contextd_indexer::cli::run(std::env::args_os())
}
