//! Where state lives on disk: private directories, atomic replacement of a file,
//! and the one writer lock.
//!
//! Knows nothing of what is stored. Which directory is used is decided by the
//! configuration; this module takes paths.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// Creates `path` and what is missing above it, readable by the owner alone
/// (0700). A directory that exists keeps its mode.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes the entries of a directory (creations, renames, removals) durable.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Replaces the file at `path` by `content`: written beside it, synced, renamed,
/// and the directory synced. After a crash the file is the old one or the new one.
pub fn write_atomic(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_atomic(path, content, Vec::new()).map_err(|(_, error)| error)
}

/// [`write_atomic`] of a file that refers to others: `before` are synced too, all
/// at once, before the new content can be seen. The error names the file that
/// could not be written.
///
/// At once, because a journaling file system then needs one commit for all of
/// them, where one after the other each would wait for its own.
pub fn replace_atomic(
    path: &Path,
    content: &[u8],
    mut before: Vec<(PathBuf, File)>,
) -> Result<(), (PathBuf, io::Error)> {
    let failed = |error| (path.to_owned(), error);
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file")));
    };
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!("{TEMPORARY}{}", std::process::id()));
    let temporary = parent.join(temporary);
    let create = || {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        Ok(file)
    };
    let replaced = create().map_err(failed).and_then(|file| {
        before.push((path.to_owned(), file));
        before.push((parent.to_owned(), File::open(parent).map_err(failed)?));
        sync_all(&before)?;
        fs::rename(&temporary, path).map_err(failed)
    });
    if replaced.is_err() {
        // Best effort: the error to report is the one above.
        let _ = fs::remove_file(&temporary);
    }
    replaced?;
    sync_dir(parent).map_err(failed)
}

/// Files that are synced at once.
const SYNCS_AT_ONCE: usize = 16;

fn sync_all(files: &[(PathBuf, File)]) -> Result<(), (PathBuf, io::Error)> {
    let sync = |(path, file): &(PathBuf, File)| file.sync_all().map_err(|error| (path.clone(), error));
    files.chunks(SYNCS_AT_ONCE).try_for_each(|files| {
        std::thread::scope(|scope| {
            let start = |file| std::thread::Builder::new().spawn_scoped(scope, move || sync(file));
            let threads: Vec<_> = files.iter().map(start).collect();
            let results: Vec<_> = files
                .iter()
                .zip(threads)
                // Where there is no thread to be had: here.
                .map(|(file, thread)| thread.ok().and_then(|t| t.join().ok()).unwrap_or_else(|| sync(file)))
                .collect();
            results.into_iter().collect()
        })
    })
}

/// Marks the temporary files of [`write_atomic`]: `.<name>.tmp-<pid>`.
const TEMPORARY: &str = ".tmp-";

/// Whether a file name is one that [`write_atomic`] leaves behind when it is killed.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with('.') && name.contains(TEMPORARY)
}

/// An exclusive lock, held until it is dropped or the process ends in any way.
///
/// The file stays behind; it is the kernel's lock on it that counts, so a lock
/// cannot go stale. It holds the process id of its last holder, for messages.
#[derive(Debug)]
pub struct WriterLock {
    file: File,
}

impl Drop for WriterLock {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is about to start
        // holds a copy of the descriptor until it executes its program.
        let _ = self.file.unlock();
    }
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another holder, in this process or another.
    #[error("{} is held by {}", path.display(), pid.map_or("another process".to_owned(), |pid| format!("process {pid}")))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The holder's process id, where it could be read.
        pid: Option<u32>,
    },
    /// The lock file could not be opened or written.
    #[error("cannot lock {}: {source}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl WriterLock {
    /// Takes the lock, or says at once who has it. Creates the file where it is
    /// missing, not the directory.
    pub fn acquire(path: &Path) -> Result<WriterLock, LockError> {
        WriterLock::take(path, File::try_lock)
    }

    /// Like [`WriterLock::acquire`], but a holder is waited for, `patience` at most.
    pub fn acquire_within(path: &Path, patience: Duration) -> Result<WriterLock, LockError> {
        let held = match WriterLock::acquire(path) {
            Err(held @ LockError::Held { .. }) => held,
            other => return other,
        };
        // A lock cannot be waited for with a deadline: a thread waits without one. What it gets
        // too late is dropped, and so released, where nobody takes it from the channel.
        let (sender, taken) = mpsc::channel();
        let at = path.to_owned();
        let wait =
            move || sender.send(WriterLock::take(&at, |file| file.lock().map_err(TryLockError::Error)));
        let thread = std::thread::Builder::new().name("lock".to_owned()).spawn(wait);
        thread.map_err(|source| LockError::Io { path: path.to_owned(), source })?;
        taken.recv_timeout(patience).unwrap_or(Err(held))
    }

    /// Says who holds the lock, if anyone does, and changes nothing. Whoever takes it in the
    /// very moment of the question may be refused.
    pub fn probe(path: &Path) -> Result<(), LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        match file.try_lock_shared() {
            Ok(()) => file.unlock().map_err(failed),
            Err(TryLockError::WouldBlock) => {
                Err(LockError::Held { path: path.to_owned(), pid: read_pid(&mut file) })
            }
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    fn take(path: &Path, lock: impl Fn(&File) -> Result<(), TryLockError>) -> Result<WriterLock, LockError> {
        let failed = |source| LockError::Io { path: path.to_owned(), source };
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)
                .map_err(failed)?;
            match lock(&file) {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { path: path.to_owned(), pid: read_pid(&mut file) });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // The directory may have been moved away between open and lock: a lock
            // on a file that is no longer at its path protects nothing.
            let locked = file.metadata().map_err(failed)?;
            match fs::metadata(path) {
                Ok(now) if (now.dev(), now.ino()) == (locked.dev(), locked.ino()) => {}
                Ok(_) => continue,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(failed(e)),
            }
            // Only messages read the process id, so a full disk must not make a
            // removal impossible. Written once by a process that comes again and again.
            if read_pid(&mut file) != Some(std::process::id()) {
                let _ = write_pid(&mut file);
            }
            return Ok(WriterLock { file });
        }
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    // A process that takes it again and again leaves the disk alone.
    if read_pid(file) == Some(std::process::id()) {
        return Ok(());
    }
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn directories_are_private() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        create_private_dir(&path).unwrap();
        create_private_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn a_file_is_replaced_whole_and_leaves_nothing_beside_it() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        for content in [b"first".as_slice(), b"", b"second"] {
            write_atomic(&path, content).unwrap();
            assert_eq!(fs::read(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(write_atomic(&root.path().join("missing/state"), b"").is_err());
    }

    #[test]
    fn temporary_names_are_told_from_others() {
        for (name, expected) in [(".meta.json.tmp-12", true), ("a.tmp-1", false), (".lock", false)] {
            assert_eq!(is_temporary(name), expected, "{name}");
        }
    }

    #[test]
    fn a_second_writer_is_told_who_holds_the_lock() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("writer.lock");
        let lock = WriterLock::acquire(&path).unwrap();
        match WriterLock::acquire(&path) {
            Err(LockError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        assert!(matches!(WriterLock::probe(&path), Err(LockError::Held { pid: Some(_), .. })));
        drop(lock);
        WriterLock::probe(&path).unwrap();
        WriterLock::probe(&root.path().join("none")).unwrap();
        // What a dead holder leaves behind does not count.
        fs::write(&path, "4194304\n").unwrap();
        WriterLock::acquire(&path).unwrap();
    }

    #[test]
    fn a_holder_is_waited_for_up_to_a_deadline() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("registry.lock");
        let lock = WriterLock::acquire(&path).unwrap();
        let error = WriterLock::acquire_within(&path, Duration::from_millis(10)).unwrap_err();
        assert!(matches!(error, LockError::Held { pid: Some(_), .. }), "{error}");
        let long = Duration::from_secs(60);
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || WriterLock::acquire_within(&path, long)
        });
        drop(lock);
        drop(waiter.join().unwrap().unwrap());
        // The first waiter, which came too late, holds nothing for longer than it takes to let go.
        WriterLock::acquire_within(&path, long).unwrap();
    }
}
