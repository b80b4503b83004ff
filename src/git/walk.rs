//! The file list: one walk over the directories that git would enter, with the
//! index at hand.
//!
//! The walk decides presence (what is on disk, links not followed), the index
//! decides what is tracked, the ignore patterns decide about the rest. No file is
//! opened but ignore and attributes files, and no filter or hook is ever run.
//!
//! `.indexerignore` files have gitignore(5) syntax and hold below their directory,
//! at any level. Each tracked file that they match is listed with
//! [`SkipReason::IndexerIgnored`], and so is an untracked file matched itself; an
//! untracked directory that they match is not entered and leaves no entry.

use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use bstr::{BString, ByteSlice};
use gix::glob::pattern::Case;
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use super::ignore::{Patterns, case, global_patterns, source};
use super::open::{Located, reason};
use super::read::{open_dir, open_root, read_small, signature, skip_by_type};
use super::tracked::Tracked;
use super::{FileEntry, GitError, Listing, attributes, nested};
use crate::manifest::Stat;
use crate::path::RepoPath;
use crate::skip::SkipReason;

/// The name of the project's own ignore files.
pub const IGNORE_FILE: &str = ".indexerignore";

/// Signature of what is listed but never read: always the same, so that work in a
/// submodule does not show as a change of its parent.
const NO_STAT: Stat = Stat { mtime_ns: 0, ctime_ns: 0, size: 0, inode: 0 };

/// Lists the worktree of `repo`. `born` tells whether HEAD has a commit.
pub(super) fn list(
    repo: &gix::Repository,
    located: &Located,
    born: impl Fn() -> bool,
) -> Result<Listing, GitError> {
    let root = located.root.as_path();
    let io = |errno: Errno| GitError::Io { path: root.to_owned(), source: errno.into() };
    let root_fd = open_root(root).map_err(io)?;
    let before = rustix::fs::fstat(&root_fd).map_err(io)?;
    let tracked = Tracked::load(repo, root, &root_fd, born)?;
    let inside =
        |dir: &Path| dir.strip_prefix(root).ok().map(|path| BString::from(path.as_os_str().as_bytes()));
    let mut walk = Walk {
        repo,
        root,
        case: case(repo),
        own: [inside(located.git_dir.as_path()), inside(located.common_dir.as_path())],
        linguist: attributes::mentioned_globally(repo, root)?,
        pending: vec![Directory {
            path: BString::default(),
            tracked: tracked.all(),
            git_excluded: false,
            indexer_ignored: false,
            git: global_patterns(repo, root)?,
            indexer: Patterns::default(),
        }],
        tracked: &tracked,
        root_fd: &root_fd,
        listing: Listing::default(),
    };
    while let Some(directory) = walk.pending.pop() {
        walk.enter(directory)?;
    }
    let Walk { mut listing, linguist, .. } = walk;
    listing.entries.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    listing.entries.dedup_by(|a, b| a.path == b.path);
    listing.directories.sort_unstable();
    listing.directories.dedup();
    listing.unreadable.sort_unstable();
    if linguist {
        attributes::apply(repo, root, &tracked.index, &mut listing.entries)?;
    }
    // Unmounted or removed meanwhile: what was seen is not the worktree.
    let after = std::fs::metadata(root).map_err(|_| GitError::RootGone { root: root.to_owned() })?;
    use std::os::unix::fs::MetadataExt;
    #[allow(clippy::unnecessary_cast)] // the fields' types differ between systems
    let same = (after.dev(), after.ino()) == (before.st_dev as u64, before.st_ino as u64);
    if !same || std::fs::symlink_metadata(located.git_dir.as_path()).is_err() {
        return Err(GitError::RootGone { root: root.to_owned() });
    }
    Ok(listing)
}

/// A directory still to be entered.
struct Directory {
    /// Empty for the root.
    path: BString,
    /// The index entries below it.
    tracked: Range<usize>,
    /// Git ignores it: only its tracked files count.
    git_excluded: bool,
    indexer_ignored: bool,
    git: Patterns,
    indexer: Patterns,
}

struct Walk<'a> {
    repo: &'a gix::Repository,
    root: &'a Path,
    root_fd: &'a OwnedFd,
    case: Case,
    /// The git and the common directory where they lie in the worktree.
    own: [Option<BString>; 2],
    tracked: &'a Tracked,
    linguist: bool,
    pending: Vec<Directory>,
    listing: Listing,
}

struct Name {
    name: BString,
    inode: u64,
    kind: FileType,
}

impl Walk<'_> {
    fn enter(&mut self, mut dir: Directory) -> Result<(), GitError> {
        let fd = match open_dir(self.root_fd, dir.path.as_bstr()) {
            Ok(fd) => fd,
            // Gone, or replaced by a file or link since its parent was read. A
            // replacement is listed by the next run, like any later change.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !dir.path.is_empty() => return Ok(()),
            Err(errno) => return self.unreadable(&dir.path, errno),
        };
        let mut names = match self.names(&fd) {
            Ok(names) => names,
            Err(errno) => return self.unreadable(&dir.path, errno),
        };
        self.listing.directories.extend(RepoPath::new(dir.path.clone()));
        self.extend_patterns(&mut dir, &fd, &names)?;
        // In inode order the disk is read front to back: a cold walk is three times faster.
        names.sort_unstable_by_key(|name| name.inode);
        let listed = self.listing.entries.len();
        for name in names {
            let path = join(&dir.path, &name.name);
            let known = match name.kind {
                FileType::Unknown => rustix::fs::statat(&fd, name.name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)
                    .map(|stat| FileType::from_raw_mode(stat.st_mode)),
                kind => Ok(kind),
            };
            let done = match known {
                Ok(FileType::Directory) => {
                    self.directory(&dir, &fd, path);
                    Ok(())
                }
                Ok(_) => self.leaf(&dir, &fd, &name.name, path),
                Err(errno) => Err(errno),
            };
            match done {
                Ok(()) | Err(Errno::NOENT) => {}
                // A directory that can be read but not searched: nothing in it is known.
                Err(errno) => {
                    self.listing.entries.truncate(listed);
                    return self.unreadable(&dir.path, errno);
                }
            }
        }
        Ok(())
    }

    fn names(&self, fd: &OwnedFd) -> Result<Vec<Name>, Errno> {
        let mut names = Vec::new();
        for entry in Dir::read_from(fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            let dot_git = match self.case {
                Case::Sensitive => name == b".git",
                Case::Fold => name.eq_ignore_ascii_case(b".git"),
            };
            if !dot_git && name != b"." && name != b".." {
                names.push(Name { name: name.into(), inode: entry.ino(), kind: entry.file_type() });
            }
        }
        Ok(names)
    }

    fn extend_patterns(&mut self, dir: &mut Directory, fd: &OwnedFd, names: &[Name]) -> Result<(), GitError> {
        let mut ignore_file = false;
        for Name { name, .. } in names {
            match name.as_slice() {
                b".gitignore" => {
                    ignore_file = true;
                    if let Some(bytes) = read_small(fd, name) {
                        dir.git = dir.git.with(&bytes, source(dir.path.as_bstr(), name), dir.path.as_bstr());
                    }
                }
                b".gitattributes" if !self.linguist => {
                    self.linguist = read_small(fd, name).is_some_and(|bytes| attributes::mentions(&bytes));
                }
                name if name == IGNORE_FILE.as_bytes() => {
                    if let Some(bytes) = read_small(fd, name) {
                        dir.indexer =
                            dir.indexer.with(&bytes, source(dir.path.as_bstr(), name), dir.path.as_bstr());
                    }
                }
                _ => {}
            }
        }
        // What sparse checkout keeps from the disk holds nevertheless.
        if !ignore_file && let Some(bytes) = self.skipped_blob(dir, b".gitignore")? {
            dir.git = dir.git.with(&bytes, source(dir.path.as_bstr(), b".gitignore"), dir.path.as_bstr());
        }
        if !self.linguist
            && let Some(bytes) = self.skipped_blob(dir, b".gitattributes")?
        {
            self.linguist = attributes::mentions(&bytes);
        }
        Ok(())
    }

    /// The tracked content of a file in `dir` that sparse checkout keeps from the disk.
    fn skipped_blob(&self, dir: &Directory, name: &[u8]) -> Result<Option<Vec<u8>>, GitError> {
        let path = join(&dir.path, name);
        let entry = self.tracked.find(&dir.tracked, path.as_bstr());
        let Some(id) = entry.and_then(|entry| entry.skipped) else { return Ok(None) };
        match self.repo.find_blob(id) {
            Ok(mut blob) => Ok(Some(blob.take_data())),
            Err(error) => Err(GitError::Object {
                root: self.root.to_owned(),
                id: id.to_string(),
                what: format!("`{path}`, not checked out"),
                reason: reason(&error),
            }),
        }
    }

    fn directory(&mut self, dir: &Directory, fd: &OwnedFd, path: BString) {
        let below = self.tracked.below(&dir.tracked, path.as_bstr());
        let git_excluded = dir.git_excluded || dir.git.exclude(path.as_bstr(), true, self.case);
        let indexer_ignored = dir.indexer_ignored || dir.indexer.exclude(path.as_bstr(), true, self.case);
        if below.is_empty() {
            let entry = self.tracked.find(&dir.tracked, path.as_bstr());
            if entry.is_some_and(|entry| entry.gitlink) {
                return self.boundary(path, true);
            }
            if git_excluded || self.own.iter().flatten().any(|own| *own == path) {
                return;
            }
            if self.is_repository(fd, &path) {
                // In the place of a tracked file it is that file's deletion, no new path.
                if entry.is_none() {
                    self.boundary(path, false);
                }
                return;
            }
            if indexer_ignored {
                return;
            }
        }
        let (git, indexer) = (dir.git.clone(), dir.indexer.clone());
        self.pending.push(Directory { path, tracked: below, git_excluded, indexer_ignored, git, indexer });
    }

    fn is_repository(&self, parent: &OwnedFd, path: &BString) -> bool {
        use rustix::fs::{Mode, OFlags};
        let name = path.rsplit_str("/").next().unwrap_or_default();
        // Most directories have none, which one look-up tells.
        let dot_git = [name, b"/.git"].concat();
        if rustix::fs::statat(parent, dot_git, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            return false;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(parent, name, flags, Mode::empty()) {
            Ok(fd) => nested::is_repository(&fd, &self.root.join(path.to_path_lossy())),
            Err(_) => false,
        }
    }

    fn boundary(&mut self, path: BString, tracked: bool) {
        if let Some(path) = RepoPath::new(path) {
            let skip = Some(SkipReason::Submodule);
            self.listing.entries.push(FileEntry { path, stat: NO_STAT, tracked, skip });
        }
    }

    fn leaf(&mut self, dir: &Directory, fd: &OwnedFd, name: &BString, path: BString) -> Result<(), Errno> {
        let tracked = self.tracked.find(&dir.tracked, path.as_bstr()).is_some();
        if !tracked && (dir.git_excluded || dir.git.exclude(path.as_bstr(), false, self.case)) {
            return Ok(());
        }
        let stat = rustix::fs::statat(fd, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?;
        let by_type = skip_by_type(&stat);
        match by_type {
            // Git shows no untracked FIFOs, sockets and devices.
            Some(SkipReason::Special) if !tracked => return Ok(()),
            // Became a directory since its parent was read.
            Some(SkipReason::Submodule) => {
                self.directory(dir, fd, path);
                return Ok(());
            }
            _ => {}
        }
        let ignored = || dir.indexer_ignored || dir.indexer.exclude(path.as_bstr(), false, self.case);
        let skip = by_type.or_else(|| ignored().then_some(SkipReason::IndexerIgnored));
        if let Some(path) = RepoPath::new(path) {
            self.listing.entries.push(FileEntry { path, stat: signature(&stat), tracked, skip });
        }
        Ok(())
    }

    /// Its files keep their last state. The root itself must be readable.
    fn unreadable(&mut self, path: &BString, errno: Errno) -> Result<(), GitError> {
        match RepoPath::new(path.clone()) {
            Some(path) => {
                let error = std::io::Error::from(errno);
                self.listing.unreadable.push((path, error.to_string()));
                Ok(())
            }
            None => Err(GitError::Io { path: self.root.to_owned(), source: errno.into() }),
        }
    }
}

fn join(dir: &BString, name: &[u8]) -> BString {
    if dir.is_empty() {
        return name.into();
    }
    let mut path = Vec::with_capacity(dir.len() + 1 + name.len());
    path.extend_from_slice(dir);
    path.push(b'/');
    path.extend_from_slice(name);
    path.into()
}
