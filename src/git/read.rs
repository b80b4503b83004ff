//! Reading files and directories of a worktree: never through a symbolic link,
//! never blocking on a FIFO, and never a torn read passed off as a whole one.
//!
//! Nothing here knows git. Every path is resolved below the root, component by
//! component, so that no link planted in the worktree can lead out of it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bstr::ByteSlice;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::ReadError;
use crate::manifest::Stat;
use crate::path::{AbsPath, RepoPath};
use crate::skip::SkipReason;

/// Files touched this recently may be touched again without their signature
/// changing: coarse clocks tick every few milliseconds, FAT every two seconds.
const RACY_NS: i64 = 2_000_000_000;

/// A file that changes while it is read is read this often before giving up.
const ATTEMPTS: usize = 3;

/// A file's bytes, with the signature they were read under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// All bytes.
    pub bytes: Vec<u8>,
    /// What lstat says of the file that was read.
    pub stat: Stat,
    /// `stat` where it can be trusted to change when the file does (see
    /// [`trusted`]); this is what a manifest may keep.
    pub signature: Option<Stat>,
}

/// Reads the regular file at `path` below `root`, up to `max` bytes.
///
/// No component of the path may be a symbolic link. The file is looked at before
/// and after: where it changed in between it is read again, at most three times.
pub fn read_file(root: &AbsPath, path: &RepoPath, max: u64) -> Result<Contents, ReadError> {
    let root = open_root(root.as_path()).map_err(|errno| failed(path, errno))?;
    for _ in 0..ATTEMPTS {
        if let Some(contents) = read_once(&root, path, max)? {
            return Ok(contents);
        }
    }
    Err(ReadError::Changing(path.clone()))
}

/// `None` where the file changed meanwhile.
fn read_once(root: &OwnedFd, path: &RepoPath, max: u64) -> Result<Option<Contents>, ReadError> {
    let parent = path.ancestors().next().unwrap_or_default();
    let dir = open_dir(root, parent).map_err(|errno| failed(path, errno))?;
    let name = path.file_name().as_bytes();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(&dir, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        // What O_NOFOLLOW says of a link, and what a socket says.
        Err(Errno::LOOP | Errno::MLINK) => {
            return Err(ReadError::NotAFile { path: path.clone(), reason: SkipReason::Symlink });
        }
        Err(Errno::NXIO | Errno::OPNOTSUPP) => {
            return Err(ReadError::NotAFile { path: path.clone(), reason: SkipReason::Special });
        }
        Err(errno) => return Err(failed(path, errno)),
    };
    let before = rustix::fs::fstat(&fd).map_err(|errno| failed(path, errno))?;
    if let Some(reason) = skip_by_type(&before) {
        return Err(ReadError::NotAFile { path: path.clone(), reason });
    }
    let stat = signature(&before);
    if stat.size > max {
        return Err(ReadError::TooLarge { path: path.clone(), size: stat.size, max });
    }
    let now = now_ns();
    let mut bytes = Vec::with_capacity(usize::try_from(stat.size).unwrap_or(0));
    let mut file = File::from(fd);
    file.by_ref()
        .take(max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| ReadError::Io { path: path.clone(), source })?;
    // By name, not by descriptor: an atomic save leaves the old file unchanged
    // under the descriptor while another one has taken its place.
    let after = match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(after) => after,
        Err(errno) => return Err(failed(path, errno)),
    };
    if signature(&after) != stat || bytes.len() as u64 != stat.size {
        return Ok(None);
    }
    Ok(Some(Contents { bytes, stat, signature: trusted(stat, now) }))
}

fn failed(path: &RepoPath, errno: Errno) -> ReadError {
    match errno {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => ReadError::Vanished(path.clone()),
        errno => ReadError::Io { path: path.clone(), source: errno.into() },
    }
}

/// `stat` if a later change of the file is sure to change it, as seen at `now`
/// (nanoseconds since the epoch, taken before the bytes were read); `None` where
/// the file was touched within two seconds, or by a clock ahead of ours. Git
/// calls such a file racily clean.
pub fn trusted(stat: Stat, now: i64) -> Option<Stat> {
    let changed = now.saturating_sub(stat.ctime_ns);
    let modified = now.saturating_sub(stat.mtime_ns);
    // A modification time far ahead was set on purpose; the change time, which
    // nobody can set, still guards such a file.
    (changed >= RACY_NS && modified.abs() >= RACY_NS).then_some(stat)
}

/// The wall clock, nanoseconds since the epoch.
pub fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// The signature in what lstat returned.
#[allow(clippy::unnecessary_cast)] // the fields' types differ between systems
pub(super) fn signature(stat: &rustix::fs::Stat) -> Stat {
    let ns = |seconds: i64, ns: i64| seconds.saturating_mul(1_000_000_000).saturating_add(ns);
    Stat {
        mtime_ns: ns(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        ctime_ns: ns(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        inode: stat.st_ino as u64,
    }
}

/// Why a file of this type is not read; `None` for a regular one.
pub(super) fn skip_by_type(stat: &rustix::fs::Stat) -> Option<SkipReason> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => None,
        FileType::Symlink => Some(SkipReason::Symlink),
        FileType::Directory => Some(SkipReason::Submodule),
        _ => Some(SkipReason::Special),
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the worktree's root. Links above and at the root are the user's own business.
pub(super) fn open_root(root: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(root, DIRECTORY, Mode::empty())
}

/// Opens the directory at `path` (empty: the root itself), following no link.
pub(super) fn open_dir(root: impl AsFd, path: &bstr::BStr) -> Result<OwnedFd, Errno> {
    let flags = DIRECTORY | OFlags::NOFOLLOW;
    if path.is_empty() {
        return rustix::fs::openat(root, ".", flags, Mode::empty());
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::ResolveFlags;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(&root, path.as_bytes(), flags, Mode::empty(), resolve) {
            // Kernels before 5.6, and sandboxes that refuse unknown calls.
            Err(Errno::NOSYS | Errno::PERM | Errno::AGAIN) => {}
            result => return result,
        }
    }
    let mut components = path.split_str("/");
    let first = components.next().unwrap_or_default();
    let mut dir = rustix::fs::openat(root, first, flags, Mode::empty())?;
    for component in components {
        dir = rustix::fs::openat(&dir, component, flags, Mode::empty())?;
    }
    Ok(dir)
}

/// Reads a small file of the project's own configuration (`.gitignore` and its
/// like) in `dir`, not through a link; `None` where there is none to read.
pub(super) fn read_small(dir: impl AsFd, name: &[u8]) -> Option<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::empty()).ok()?;
    let stat = rustix::fs::fstat(&fd).ok()?;
    // Git's own limit for pattern files.
    const LIMIT: u64 = 100 << 20;
    if skip_by_type(&stat).is_some() || signature(&stat).size > LIMIT {
        return None;
    }
    let mut bytes = Vec::new();
    File::from(fd).take(LIMIT).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Like [`read_small`] for a file that is named by configuration and may be a
/// link. Git warns about one that it cannot read, and goes on without; so do we.
pub(super) fn read_configured(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => match std::fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
            Err(error) => Err(error),
        },
        _ => Ok(None),
    }
}
