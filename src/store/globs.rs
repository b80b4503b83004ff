//! The path patterns of a [`super::Filter`], understood alike by every provider.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::StoreError;
use crate::path::RepoPath;

/// What is named outright, and what has wildcards.
pub struct Paths {
    /// Files, and directories with all below them; an empty one is everything.
    pub(super) plain: Vec<Vec<u8>>,
    globs: Option<GlobSet>,
}

impl Paths {
    /// Reads the patterns, of which one must match; `None` where there are none. One that
    /// globset refuses is [`StoreError::Invalid`].
    pub fn compile(patterns: &[String]) -> Result<Option<Paths>, StoreError> {
        if patterns.is_empty() {
            return Ok(None);
        }
        let invalid = |pattern: &str, e: globset::Error| {
            StoreError::Invalid(format!("path pattern {pattern:?}: {}", e.kind()))
        };
        let mut plain = Vec::new();
        let mut globs = GlobSetBuilder::new();
        let mut any_glob = false;
        for pattern in patterns {
            let trimmed = pattern.strip_prefix("./").unwrap_or(pattern);
            if trimmed.contains(['*', '?', '[', ']', '{', '}', '\\', '!']) {
                let glob = GlobBuilder::new(trimmed).literal_separator(true).build();
                globs.add(glob.map_err(|e| invalid(pattern, e))?);
                any_glob = true;
            }
            // Also as it stands: file names may have the characters of a wildcard.
            plain.push(trimmed.trim_end_matches('/').as_bytes().to_vec());
        }
        let globs = if any_glob { Some(globs.build().map_err(|e| invalid("", e))?) } else { None };
        Ok(Some(Paths { plain, globs }))
    }

    /// Whether a pattern names this path, a directory above it, or matches it.
    pub fn matches(&self, path: &RepoPath) -> bool {
        let named = |plain: &Vec<u8>| {
            let mut above = path.ancestors();
            plain.is_empty() || path.as_bytes() == plain || above.any(|dir| dir == plain.as_slice())
        };
        self.plain.iter().any(named) || self.glob_matches(path.as_bytes())
    }

    /// Whether any pattern has wildcards.
    pub(super) fn has_globs(&self) -> bool {
        self.globs.is_some()
    }

    /// Whether a pattern with wildcards matches this path.
    pub(super) fn glob_matches(&self, path: &[u8]) -> bool {
        self.globs.as_ref().is_some_and(|globs| globs.is_match(Path::new(OsStr::from_bytes(path))))
    }
}
