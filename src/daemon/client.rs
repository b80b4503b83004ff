//! The asker's side of the socket: blocking, one request at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::protocol::{Envelope, MAX_LINE, PROTOCOL, Reply, Request};
use super::socket;
use crate::wire::{Failure, Running};

/// A connection to the daemon of a data directory.
pub struct Client {
    stream: BufReader<UnixStream>,
    path: PathBuf,
}

/// The daemon could not be asked, or said no.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The socket is not one to be trusted.
    #[error("{} belongs to another user: remove it, or choose another --data-dir", .0.display())]
    Foreign(PathBuf),
    /// It does not speak our language.
    #[error("the daemon is version {0}, this program is {version}: restart the daemon (`systemctl --user restart contextd-indexer`, or stop `indexer watch` and start it again)", version = env!("CARGO_PKG_VERSION"))]
    Version(String),
    /// It ended, or broke off.
    #[error("the daemon at {} broke off: {source}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// It answered with an error.
    #[error("{}", .0.message)]
    Failed(Failure),
}

impl Client {
    /// Connects; `None` where no daemon runs. A socket that nobody listens on any more is
    /// no daemon either.
    pub fn connect(data_dir: &Path) -> Result<Option<Client>, ClientError> {
        let path = socket::path(data_dir);
        let broken = |source| ClientError::Broken { path: path.clone(), source };
        let owner = match path.symlink_metadata() {
            Ok(found) => found.uid(),
            Err(_) => return Ok(None),
        };
        if owner != rustix::process::geteuid().as_raw() {
            return Err(ClientError::Foreign(path));
        }
        match socket::connect(data_dir) {
            Ok(stream) => Ok(Some(Client { stream: BufReader::new(stream), path })),
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) =>
            {
                Ok(None)
            }
            Err(error) => Err(broken(error)),
        }
    }

    /// Asks and returns the one reply that is not progress. `patience` bounds the wait for
    /// each line; `None` waits for as long as the daemon lives.
    pub fn ask(
        &mut self,
        request: Request,
        patience: Option<Duration>,
        progress: &mut dyn FnMut(Running),
    ) -> Result<Reply, ClientError> {
        match self.exchange(request, patience, progress) {
            Ok(Reply::Failed(failure)) => Err(ClientError::Failed(failure)),
            Ok(Reply::Version { version }) => Err(ClientError::Version(version)),
            Ok(reply) => Ok(reply),
            Err(source) => Err(ClientError::Broken { path: self.path.clone(), source }),
        }
    }

    fn exchange(
        &mut self,
        request: Request,
        patience: Option<Duration>,
        progress: &mut dyn FnMut(Running),
    ) -> io::Result<Reply> {
        let mut line = serde_json::to_string(&Envelope { protocol: PROTOCOL, request })?;
        line.push('\n');
        self.stream.get_ref().set_read_timeout(patience)?;
        self.stream.get_mut().write_all(line.as_bytes())?;
        loop {
            let mut line = String::new();
            if (&mut self.stream).take(MAX_LINE).read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match serde_json::from_str(&line)? {
                Reply::Progress(running) => progress(running),
                reply => return Ok(reply),
            }
        }
    }
}
