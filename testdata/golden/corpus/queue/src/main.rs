//! The queue as a process of its own.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use courier_queue::storage::AppendLog;
use courier_queue::wire::{server, DEFAULT_PORT};
use courier_queue::{JobQueue, RetryPolicy};

/// Reads `COURIER_QUEUE_DIR` and `COURIER_QUEUE_PORT`.
fn settings() -> Result<(PathBuf, u16), String> {
    let folder = std::env::var_os("COURIER_QUEUE_DIR").ok_or("COURIER_QUEUE_DIR is not set: where are jobs to be kept?")?;
    let port = match std::env::var("COURIER_QUEUE_PORT") {
        Ok(text) => text.parse().map_err(|_| format!("COURIER_QUEUE_PORT must be a port number, not {text:?}"))?,
        Err(_) => DEFAULT_PORT,
    };
    Ok((folder.into(), port))
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (folder, port) = settings()?;
    let store = AppendLog::open(&folder)?;
    let queue = JobQueue::open(store, RetryPolicy::default(), 1_000_000)?;
    let listener = TcpListener::bind(("0.0.0.0", port))?;
    eprintln!("listening on port {port}, jobs in {}", folder.display());
    server::serve(listener, Arc::new(Mutex::new(queue)))?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("courier-queue: {error}");
            ExitCode::FAILURE
        }
    }
}
