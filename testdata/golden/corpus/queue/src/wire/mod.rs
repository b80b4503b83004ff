//! How clients on other machines talk to the queue.

pub mod frame;
pub mod message;
pub mod server;

pub use frame::{Frame, FrameError};
pub use message::{Request, Response};

/// The protocol's version; both sides say theirs first.
pub const PROTOCOL_VERSION: u8 = 3;

/// The port where nothing else is configured.
pub const DEFAULT_PORT: u16 = 7411;
