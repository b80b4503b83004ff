//! What an asker may see and do: said once, by whoever knows the asker, and never by the asker.

use std::path::{Path, PathBuf};

use crate::tenant::Role;

/// Rights of an asker. There is no way to widen them.
#[derive(Clone, Debug)]
pub struct Access {
    roots: Option<Vec<PathBuf>>,
    role: Role,
    memory: bool,
}

impl Access {
    /// The person's own: every worktree of this machine, and everything done with them.
    pub fn of_person() -> Access {
        Access { roots: None, role: Role::Admin, memory: true }
    }

    /// Only the worktrees with these canonical roots, and no more than `role` allows.
    pub fn to(roots: Vec<PathBuf>, role: Role) -> Access {
        Access { roots: Some(roots), role, memory: true }
    }

    /// The same without the tools that keep memories.
    pub fn without_memory(self) -> Access {
        Access { memory: false, ..self }
    }

    /// Whether the worktree with this canonical root may be seen.
    pub fn sees(&self, root: &Path) -> bool {
        self.roots.as_ref().is_none_or(|roots| roots.iter().any(|seen| seen == root))
    }

    /// The worktrees that may be seen, where they are counted.
    pub fn roots(&self) -> Option<&[PathBuf]> {
        self.roots.as_deref()
    }

    /// What may be done at most.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whether anything may be kept.
    pub fn may_write(&self) -> bool {
        self.role >= Role::Write
    }

    /// Whether there are tools for memories.
    pub fn has_memory(&self) -> bool {
        self.memory
    }
}
