//! Paths: absolute ones of the operating system, and repository-relative ones
//! as git has them (bytes, `/`-separated).
//!
//! No I/O here. A path in this module is well-formed; whether anything is there
//! is another module's business.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use bstr::{BStr, BString, ByteSlice};

/// An absolute path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AbsPath(PathBuf);

impl AbsPath {
    /// `None` where `path` is relative.
    pub fn new(path: PathBuf) -> Option<AbsPath> {
        path.is_absolute().then_some(AbsPath(path))
    }

    /// The path.
    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// The place of a repository path below this one.
    pub fn join(&self, path: &RepoPath) -> PathBuf {
        self.0.join(path.to_os_path())
    }
}

impl AsRef<Path> for AbsPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl fmt::Display for AbsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

/// A path inside a worktree: non-empty bytes, components separated by one `/`,
/// none of them empty, `.`, `..` or containing NUL. Any other byte may occur,
/// newlines and invalid UTF-8 included. Ordered by bytes, as git's index is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepoPath(BString);

impl RepoPath {
    /// `None` where `path` is not of the form above.
    pub fn new(path: impl Into<BString>) -> Option<RepoPath> {
        let path = path.into();
        let component = |c: &[u8]| !matches!(c, b"" | b"." | b"..") && !c.contains(&0);
        path.split_str("/").all(component).then_some(RepoPath(path))
    }

    /// The path's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The path as a byte string.
    pub fn as_bstr(&self) -> &BStr {
        self.0.as_bstr()
    }

    /// The path as text where it is valid UTF-8.
    pub fn to_str(&self) -> Option<&str> {
        self.0.to_str().ok()
    }

    /// The path as the operating system takes it, relative.
    pub fn to_os_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Last component.
    pub fn file_name(&self) -> &BStr {
        self.0.rsplit_str("/").next().unwrap_or_default().as_bstr()
    }

    /// File name up to its last dot; the whole name where the only dot leads it.
    pub fn stem(&self) -> &BStr {
        let name = self.file_name();
        match name.rfind_byte(b'.') {
            None | Some(0) => name,
            Some(dot) => name[..dot].as_bstr(),
        }
    }

    /// What follows the last dot of the file name, without it.
    pub fn extension(&self) -> Option<&BStr> {
        let name = self.file_name();
        match name.rfind_byte(b'.') {
            None | Some(0) => None,
            Some(dot) => Some(name[dot + 1..].as_bstr()),
        }
    }

    /// Directories above, nearest first, the root left out.
    pub fn ancestors(&self) -> impl Iterator<Item = &BStr> {
        let mut rest = self.0.as_bstr();
        std::iter::from_fn(move || {
            rest = rest[..rest.rfind_byte(b'/')?].as_bstr();
            Some(rest)
        })
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_bstr(), f)
    }
}

/// For people: lossy, control characters escaped, so that no path can write to
/// a terminal more than its name.
impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_str_lossy().chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_paths_only() {
        for good in ["a", "a/b.rs", ".env", "a b/-c", "new\nline", "..a/b..", "a/..."] {
            assert!(RepoPath::new(good).is_some(), "{good:?}");
        }
        for bad in ["", "/", "/a", "a/", "a//b", ".", "a/./b", "../a", "a/..", "a\0b"] {
            assert!(RepoPath::new(bad).is_none(), "{bad:?}");
        }
        assert!(RepoPath::new(b"caf\xe9/x".as_slice()).is_some());
    }

    #[test]
    fn parts() {
        let path = RepoPath::new("src/git/mod.test.rs").expect("well-formed");
        assert_eq!(path.file_name(), "mod.test.rs");
        assert_eq!(path.stem(), "mod.test");
        assert_eq!(path.extension().map(|e| e.to_string()).as_deref(), Some("rs"));
        assert_eq!(path.ancestors().map(|a| a.to_string()).collect::<Vec<_>>(), ["src/git", "src"]);
        let dot = RepoPath::new(".env").expect("well-formed");
        assert_eq!((dot.stem().to_string(), dot.extension()), (".env".to_owned(), None));
    }

    #[test]
    fn display_escapes_control_characters() {
        let path = RepoPath::new("a\n\x1b[31m").expect("well-formed");
        assert_eq!(path.to_string(), "a\\n\\u{1b}[31m");
    }
}
