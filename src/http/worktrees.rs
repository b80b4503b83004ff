//! Which worktrees of this machine a session sees: what it may not see is not there.

use std::path::{Component, Path};

use super::ApiError;
use crate::daemon::registry::{Registered, Registry, RegistryError, State};
use crate::session::Session;
use crate::tenant::{TenantContext, TenantError};
use crate::wire::{Failure, FailureCode, Place};

/// The registered worktrees that a session may see.
pub struct Worktrees {
    seen: Vec<(Registered, TenantContext)>,
}

impl Worktrees {
    /// As the registry is now. Reads a file.
    pub fn of(session: &Session, data_dir: &Path) -> Result<Worktrees, Failure> {
        let failed = |error: RegistryError| Failure::new(FailureCode::Unavailable, error.to_string());
        let registry = Registry::load(data_dir).map_err(failed)?;
        let seen = registry.worktrees().iter().filter(|worktree| !worktree.is_out()).filter_map(|worktree| {
            let tenant = session.tenant(worktree.project())?;
            Some(tenant.map(|tenant| (worktree.clone(), tenant)))
        });
        let failed = |error: TenantError| Failure::new(FailureCode::Failed, error.to_string());
        Ok(Worktrees { seen: seen.collect::<Result<_, _>>().map_err(failed)? })
    }

    /// Roots of those that are there.
    pub fn active(&self) -> impl Iterator<Item = &Path> {
        self.seen
            .iter()
            .filter(|(worktree, _)| worktree.state == State::Active)
            .map(|(worktree, _)| worktree.root.as_path())
    }

    /// Whether there is one with this root, there or not.
    pub fn has(&self, root: &Path) -> bool {
        self.seen.iter().any(|(worktree, _)| worktree.root == root)
    }

    /// The one that an absolute path is in, by the path alone: nothing is looked at on disk, so
    /// that the answer tells nothing of what is there.
    pub fn find(&self, path: &Place) -> Result<(&Path, &TenantContext), ApiError> {
        let path = path.to_path();
        let climbs = path.components().any(|component| component == Component::ParentDir);
        let around = self
            .seen
            .iter()
            .filter(|(worktree, _)| worktree.state == State::Active && !climbs)
            .filter(|(worktree, _)| path.starts_with(&worktree.root))
            .max_by_key(|(worktree, _)| worktree.root.as_os_str().len());
        let (worktree, tenant) = around.ok_or_else(not_found)?;
        Ok((&worktree.root, tenant))
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("worktree").with_hint("`GET /v1/status` lists those that this token may see")
}
