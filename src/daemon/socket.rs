//! Where the socket is, and how it is opened: below the data directory, in a folder that
//! is the user's alone.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::state_dir::create_private_dir;

const NAME: &str = "daemon.sock";

/// The folder of what a running daemon needs: socket and lock.
pub fn dir(data_dir: &Path) -> PathBuf {
    data_dir.join("run")
}

/// The socket.
pub fn path(data_dir: &Path) -> PathBuf {
    dir(data_dir).join(NAME)
}

/// Listens. What lies at the path is removed: the caller holds the daemon's lock, so it is
/// left over from one that is dead.
pub fn listen(data_dir: &Path) -> io::Result<UnixListener> {
    let dir = dir(data_dir);
    create_private_dir(&dir)?;
    let path = path(data_dir);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = by_short_path(&dir, UnixListener::bind)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Connects to whoever listens.
pub fn connect(data_dir: &Path) -> io::Result<UnixStream> {
    by_short_path(&dir(data_dir), UnixStream::connect)
}

/// The path of a socket has 107 bytes at most; a data directory may lie deeper. Linux has
/// a short name for an open directory.
fn by_short_path<T>(dir: &Path, act: impl Fn(PathBuf) -> io::Result<T>) -> io::Result<T> {
    const LONGEST: usize = 100;
    let path = dir.join(NAME);
    if path.as_os_str().len() <= LONGEST || !cfg!(target_os = "linux") {
        return act(path);
    }
    let open = File::open(dir)?;
    act(PathBuf::from(format!("/proc/self/fd/{}/{NAME}", open.as_raw_fd())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_data_directory_has_a_socket_too() {
        let root = tempfile::tempdir().expect("a temporary folder");
        for data_dir in [root.path().join("short"), root.path().join("deep/".repeat(40))] {
            assert!(connect(&data_dir).is_err());
            fs::create_dir_all(&data_dir).expect("created");
            let listener = listen(&data_dir).expect("listens");
            connect(&data_dir).expect("connects");
            listener.accept().expect("accepts");
            let mode = fs::metadata(path(&data_dir)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            drop(listener);
            // Left over, and replaced.
            assert_eq!(connect(&data_dir).expect_err("dead").kind(), io::ErrorKind::ConnectionRefused);
            listen(&data_dir).expect("listens again");
        }
    }
}
