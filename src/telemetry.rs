//! Logs on standard error. Quiet by default: warnings and errors only. A panic that
//! is caught is a log line, not a message.

use std::any::Any;
use std::cell::Cell;
use std::io::IsTerminal as _;
use std::panic::{self, AssertUnwindSafe};

use tracing_subscriber::EnvFilter;

/// Installs the subscriber. `filter` is in `tracing`'s directive syntax; one that
/// does not parse is reported as `Err` with its text and nothing is installed.
pub fn init(filter: Option<&str>, verbosity: u8) -> Result<(), String> {
    let default = match verbosity {
        0 => "warn,ort=error",
        1 => "warn,contextd_indexer=info,ort=error",
        _ => "info,contextd_indexer=debug,ort=error",
    };
    let text = filter.unwrap_or(default);
    let filter = EnvFilter::try_new(text).map_err(|error| format!("log filter {text:?}: {error}"))?;
    let ansi = std::io::stderr().is_terminal();
    let subscriber =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi);
    // A second initialisation in one process (tests) keeps the first.
    let _ = subscriber.without_time().with_target(false).try_init();
    Ok(())
}

thread_local!(static CATCHING: Cell<bool> = const { Cell::new(false) });

/// Makes panics inside [`catch_panic`] silent but for a log line at debug level; all
/// others print as ever.
pub fn install_panic_hook() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if CATCHING.get() {
            tracing::debug!(panic = %info, "caught");
        } else {
            print(info);
        }
    }));
}

/// Runs `act`; a panic in it is returned. For calls into libraries that do not expect
/// hostile data. Panics on threads that it starts are not caught.
pub fn catch_panic<T>(act: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    let outer = CATCHING.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(act));
    CATCHING.set(outer);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_caught_and_later_ones_are_not_silenced() {
        assert_eq!(catch_panic(|| CATCHING.get()).ok(), Some(true));
        let inner = catch_panic(|| catch_panic(|| panic!("inner")).is_err() && CATCHING.get());
        assert_eq!(inner.ok(), Some(true));
        assert!(catch_panic(|| panic!("outer")).is_err());
        assert!(!CATCHING.get());
    }
}
