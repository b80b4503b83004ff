//! Ignore patterns: the chain of pattern lists that holds in a directory.
//!
//! Parsing and matching of a single pattern are gix's. The chain is our own,
//! because gix's directory stack matches the worktree's root itself against
//! directory patterns, so that a global `*/` hides everything. A walk that goes
//! top down and knows which directories are excluded needs no more than this.
//! See gitignore(5) for the rules of precedence.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use bstr::{BStr, BString, ByteSlice};
use gix::glob::pattern::Case;
use gix::glob::search::Pattern;
use gix::glob::search::pattern::List;
use gix::ignore::search::{Ignore, Match, pattern_matching_relative_path};

use super::GitError;
use super::open::reason;
use super::read::{open_dir, open_root, read_configured, read_small};
use crate::path::RepoPath;

/// The lists that hold in a directory, innermost first. Cheap to clone and to extend.
#[derive(Clone, Default)]
pub(super) struct Patterns(Option<Rc<Node>>);

struct Node {
    list: List<Ignore>,
    outer: Patterns,
}

/// A pattern that excludes a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternMatch {
    /// File that holds the pattern: relative to the worktree root, or absolute.
    pub source: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// The pattern.
    pub pattern: String,
}

impl Patterns {
    /// These patterns with those of `bytes` before them. `dir` is the directory
    /// that the patterns are relative to, empty for the root.
    pub(super) fn with(&self, bytes: &[u8], source: PathBuf, dir: &BStr) -> Patterns {
        let patterns = Ignore { support_precious: false }.bytes_to_patterns(bytes, &source);
        if patterns.is_empty() {
            return self.clone();
        }
        let base = (!dir.is_empty()).then(|| {
            let mut base = BString::from(dir);
            base.push(b'/');
            base
        });
        let list = List { patterns, source: Some(source), base };
        Patterns(Some(Rc::new(Node { list, outer: self.clone() })))
    }

    /// Whether the patterns exclude `path`, its parents not being excluded.
    pub(super) fn exclude(&self, path: &BStr, is_dir: bool, case: Case) -> bool {
        self.deciding(path, is_dir, case).is_some_and(|found| !found.pattern.is_negative())
    }

    /// The pattern that excludes `path`, its parents not being excluded.
    fn excluding(&self, path: &BStr, is_dir: bool, case: Case) -> Option<PatternMatch> {
        let found = self.deciding(path, is_dir, case).filter(|found| !found.pattern.is_negative())?;
        Some(PatternMatch {
            source: found.source.map(PathBuf::from).unwrap_or_default(),
            line: found.sequence_number,
            pattern: found.pattern.to_string(),
        })
    }

    /// The innermost list's last pattern that matches, whichever way it decides.
    fn deciding(&self, path: &BStr, is_dir: bool, case: Case) -> Option<Match<'_>> {
        let name = path.rfind_byte(b'/').map(|slash| slash + 1);
        let mut next = self;
        while let Some(node) = &next.0 {
            let found = pattern_matching_relative_path(&node.list, path, name, Some(is_dir), case);
            if found.is_some() {
                return found;
            }
            next = &node.outer;
        }
        None
    }
}

/// `core.excludesFile` (or its default place), then `info/exclude`, which ranks higher.
pub(super) fn global_patterns(repo: &gix::Repository, root: &Path) -> Result<Patterns, GitError> {
    const KEY: &str = "core.excludesFile";
    let failed =
        |error: gix::Error| GitError::Config { root: root.to_owned(), key: KEY, reason: reason(&error) };
    let config = repo.config_snapshot();
    let excludes = match config.string(KEY) {
        // Set to nothing: not even the default place.
        Some(value) if value.is_empty() => None,
        Some(_) => config.trusted_path(KEY).map_err(failed)?.map(|path| root.join(path)),
        None => default_excludes(),
    };
    let info = repo.common_dir().join("info/exclude");
    let mut patterns = Patterns::default();
    for path in excludes.into_iter().chain([info]) {
        let bytes = read_configured(&path).map_err(|source| GitError::Io { path: path.clone(), source })?;
        if let Some(bytes) = bytes {
            patterns = patterns.with(&bytes, path, BStr::new(""));
        }
    }
    Ok(patterns)
}

fn default_excludes() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    base.map(|base| base.join("git/ignore"))
}

/// Whether patterns are matched without regard to case (`core.ignoreCase`).
pub(super) fn case(repo: &gix::Repository) -> Case {
    match repo.config_snapshot().boolean("core.ignoreCase") {
        Some(true) => Case::Fold,
        _ => Case::Sensitive,
    }
}

/// Where a pattern file in `dir` lies, relative to the root.
pub(super) fn source(dir: &BStr, name: &[u8]) -> PathBuf {
    dir.to_path_lossy().join(name.to_path_lossy())
}

/// The pattern for which git ignores the untracked `path`, or a directory above it.
/// Says nothing of tracked paths, which no pattern hides.
pub(super) fn ignored_by(
    repo: &gix::Repository,
    root: &Path,
    path: &RepoPath,
) -> Result<Option<PatternMatch>, GitError> {
    let io = |errno: rustix::io::Errno| GitError::Io { path: root.to_owned(), source: errno.into() };
    let root_fd = open_root(root).map_err(io)?;
    let case = case(repo);
    let mut patterns = global_patterns(repo, root)?;
    let mut above: Vec<&BStr> = path.ancestors().collect();
    above.push(BStr::new(""));
    for dir in above.into_iter().rev() {
        if !dir.is_empty()
            && let Some(found) = patterns.excluding(dir, true, case)
        {
            return Ok(Some(found));
        }
        let Ok(fd) = open_dir(&root_fd, dir) else { return Ok(None) };
        if let Some(bytes) = read_small(&fd, b".gitignore") {
            patterns = patterns.with(&bytes, source(dir, b".gitignore"), dir);
        }
    }
    let is_dir = open_dir(&root_fd, path.as_bstr()).is_ok();
    Ok(patterns.excluding(path.as_bstr(), is_dir, case))
}
