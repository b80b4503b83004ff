//! Why a file is not indexed. An exclusion is data: recorded in the manifest,
//! counted in every outcome, and answered by `indexer explain`.

use std::fmt;

/// Why a listed file has no chunks. The names are stable: they appear in JSON
/// and in the manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// A symbolic link: its target, if in the worktree, is indexed under its own path.
    Symlink,
    /// A submodule or nested repository: a worktree of its own.
    Submodule,
    /// A FIFO, socket or device.
    Special,
    /// Matched by `.indexerignore`.
    IndexerIgnored,
    /// `linguist-generated` in git attributes, or a generated-code marker in the file's head.
    Generated,
    /// `linguist-vendored` in git attributes.
    Vendored,
    /// A package manager's lock file.
    LockFile,
    /// Minified or otherwise unreadable by line length.
    Minified,
    /// Over the size cap.
    TooLarge,
    /// Binary content.
    Binary,
    /// The operating system refused to let it be read.
    Unreadable,
}

impl SkipReason {
    /// All reasons, in order.
    pub const ALL: [SkipReason; 11] = [
        SkipReason::Symlink,
        SkipReason::Submodule,
        SkipReason::Special,
        SkipReason::IndexerIgnored,
        SkipReason::Generated,
        SkipReason::Vendored,
        SkipReason::LockFile,
        SkipReason::Minified,
        SkipReason::TooLarge,
        SkipReason::Binary,
        SkipReason::Unreadable,
    ];

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            SkipReason::Symlink => "symlink",
            SkipReason::Submodule => "submodule",
            SkipReason::Special => "special",
            SkipReason::IndexerIgnored => "indexer_ignored",
            SkipReason::Generated => "generated",
            SkipReason::Vendored => "vendored",
            SkipReason::LockFile => "lock_file",
            SkipReason::Minified => "minified",
            SkipReason::TooLarge => "too_large",
            SkipReason::Binary => "binary",
            SkipReason::Unreadable => "unreadable",
        }
    }

    /// The reason with this stable name.
    pub fn from_name(name: &str) -> Option<SkipReason> {
        SkipReason::ALL.into_iter().find(|reason| reason.name() == name)
    }

    /// One sentence for people: what it means and what would change it.
    pub fn explanation(self) -> &'static str {
        match self {
            SkipReason::Symlink => "a symbolic link; its target is indexed under its own path",
            SkipReason::Submodule => "a repository of its own; index it as a worktree of its own",
            SkipReason::Special => "not a regular file (FIFO, socket or device)",
            SkipReason::IndexerIgnored => "matched by .indexerignore; remove the pattern to index it",
            SkipReason::Generated => {
                "generated code (linguist-generated attribute or a marker in its first lines)"
            }
            SkipReason::Vendored => "vendored code (linguist-vendored attribute)",
            SkipReason::LockFile => "a package manager's lock file",
            SkipReason::Minified => "minified: its lines are too long to be read or cited",
            SkipReason::TooLarge => "larger than index.max_file_bytes; raise it in the configuration",
            SkipReason::Binary => "binary content",
            SkipReason::Unreadable => "it could not be read; check its permissions",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
