//! Futures for callers that have no runtime, or one on which they must not wait.
//!
//! The runtime's threads are its own: a caller waits on a channel, which is allowed on any
//! thread, in whatever runtime's context it is.

use std::future::Future;
use std::io;
use std::sync::mpsc;

use tokio::runtime::{Builder, Runtime};

/// Threads that run the store's futures.
pub(super) struct Background {
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Background {
    pub(super) fn start() -> io::Result<Background> {
        let runtime =
            Builder::new_multi_thread().worker_threads(2).thread_name("qdrant").enable_all().build()?;
        Ok(Background { runtime: Some(runtime) })
    }

    /// Calls `make` where connections can be made.
    pub(super) fn enter<T>(&self, make: impl FnOnce() -> T) -> T {
        let _context = self.runtime.as_ref().map(Runtime::enter);
        make()
    }

    /// Runs `future` to its end and gives its value; `None` where it panicked.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let runtime = self.runtime.as_ref()?;
        runtime.spawn(async move { sender.send(future.await) });
        receiver.recv().ok()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Waiting for the threads is refused in another runtime's context.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
