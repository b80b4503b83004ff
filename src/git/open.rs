//! Finding and opening a repository the way git would, less git's environment.
//!
//! A hook runs with `GIT_DIR`, `GIT_INDEX_FILE` and more set for the repository
//! that it runs in; none of them may redirect a run. The user's and the system's
//! settings are read (`core.excludesFile` and `safe.directory` matter), also where
//! `GIT_CONFIG_GLOBAL` and `GIT_CONFIG_SYSTEM` name them.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use gix::discover::upwards;
use gix::open::{Options, Permissions};
use gix::sec::Permission;

use super::{GitError, Identity};
use crate::path::AbsPath;

/// What `git rev-parse --local-env-vars` prints, and one more: the variables that tie a process
/// to one repository. Nothing here reads them, and no child process gets them.
pub const LOCAL_ENV_VARS: &[&str] = &[
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_CONFIG",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
    "GIT_OBJECT_DIRECTORY",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_REPLACE_REF_BASE",
    "GIT_PREFIX",
    "GIT_SHALLOW_FILE",
    "GIT_COMMON_DIR",
    "GIT_INTERNAL_SUPER_PREFIX",
    // Not in git's list, though it too changes which refs are meant.
    "GIT_NAMESPACE",
];

/// A repository with files, found and checked. Paths are canonical.
pub(super) struct Located {
    pub root: AbsPath,
    pub git_dir: AbsPath,
    pub common_dir: AbsPath,
    /// What reopens it: the root where it has a `.git`, else the git directory.
    pub handle: PathBuf,
}

/// The worktree that `path` is in.
pub(super) fn discover(path: &Path) -> Result<Located, GitError> {
    let metadata = std::fs::metadata(path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => GitError::NoSuchPath { path: path.to_owned() },
        _ => GitError::Io { path: path.to_owned(), source },
    })?;
    let found = canonical(path)?;
    let start =
        if metadata.is_dir() { found.as_path() } else { found.as_path().parent().unwrap_or(Path::new("/")) };
    let trust = gix::sec::trust::Mapping { full: options(), reduced: options() };
    let repo = gix::ThreadSafeRepository::discover_opts(start, upwards::Options::default(), trust)
        .map_err(|error| refused(path, &error))?
        .to_thread_local();
    locate(&repo, path)
}

/// Opens `located` anew: settings, refs and index as they are now.
pub(super) fn reopen(located: &Located) -> Result<gix::Repository, GitError> {
    let root = located.root.as_path();
    let gone = || GitError::RootGone { root: root.to_owned() };
    let there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
    if !root.is_dir() || !there(located.git_dir.as_path()) {
        return Err(gone());
    }
    if located.handle == root && !there(&root.join(".git")) {
        return Err(gone());
    }
    let repo = options().open(&located.handle).map_err(|error| refused(root, &error))?.to_thread_local();
    let now = locate(&repo, root)?;
    if now.git_dir != located.git_dir || now.root != located.root {
        return Err(GitError::Replaced {
            root: root.to_owned(),
            before: located.git_dir.as_path().to_owned(),
            now: now.git_dir.as_path().to_owned(),
        });
    }
    Ok(repo)
}

/// Opens the repository whose own directory is `git_dir`, also where it is bare.
pub(super) fn open_git_dir(git_dir: &Path) -> Result<gix::Repository, GitError> {
    if std::fs::symlink_metadata(git_dir).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(GitError::NoSuchPath { path: git_dir.to_owned() });
    }
    let repo = options().open_path_as_is(true).open(git_dir).map_err(|error| refused(git_dir, &error))?;
    Ok(repo.to_thread_local())
}

fn locate(repo: &gix::Repository, path: &Path) -> Result<Located, GitError> {
    let git_dir = canonical(repo.git_dir())?;
    let common_dir = canonical(repo.common_dir())?;
    // Not `is_bare()`: a bare repository's linked worktrees inherit that setting.
    let Some(root) = repo.workdir() else {
        return Err(GitError::Bare { worktrees: linked(repo), git_dir: git_dir.as_path().to_owned() });
    };
    let root = canonical(root).map_err(|_| GitError::RootGone { root: root.to_owned() })?;
    if !root.as_path().is_dir() {
        return Err(GitError::Open {
            path: path.to_owned(),
            reason: format!("its worktree `{root}` is not a directory (see `core.worktree`)"),
        });
    }
    let dot_git = root.as_path().join(".git");
    let handle = if canonical_git_dir(&dot_git).as_deref() == Some(git_dir.as_path()) {
        root.as_path().to_owned()
    } else {
        git_dir.as_path().to_owned()
    };
    Ok(Located { root, git_dir, common_dir, handle })
}

/// The git directory that `.git`, a directory or a file that names one, stands for.
pub(super) fn canonical_git_dir(dot_git: &Path) -> Option<PathBuf> {
    if dot_git.is_dir() {
        return dot_git.canonicalize().ok();
    }
    let target = gix::discover::path::from_gitdir_file(dot_git).ok()?;
    target.canonicalize().ok()
}

/// Roots of the linked worktrees of `repo`.
fn linked(repo: &gix::Repository) -> Vec<PathBuf> {
    let proxies = repo.worktrees().unwrap_or_default();
    proxies.iter().filter_map(|proxy| proxy.base().ok()).collect()
}

/// What tells one repository from another one at the same path.
pub(super) fn identity(located: &Located) -> Result<Identity, GitError> {
    let path = located.git_dir.as_path();
    let metadata =
        std::fs::metadata(path).map_err(|source| GitError::Io { path: path.to_owned(), source })?;
    let created = metadata.created().ok().and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(Identity {
        git_dir: located.git_dir.clone(),
        inode: metadata.ino(),
        created_ns: created.and_then(|since| i64::try_from(since.as_nanos()).ok()),
    })
}

/// Everything that a user configures, nothing that a parent process exported.
fn options() -> Options {
    let mut permissions = Permissions::all();
    permissions.env.git_prefix = Permission::Deny;
    permissions.env.objects = Permission::Deny;
    permissions.config.env = false;
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let system = match variable("GIT_CONFIG_NOSYSTEM") {
        Some(value) if !matches!(value.to_str(), Some("" | "0" | "false" | "no" | "off")) => None,
        _ => variable("GIT_CONFIG_SYSTEM").or_else(|| Some(PathBuf::from("/etc/gitconfig"))),
    };
    permissions.config.system = system.is_some();
    let mut options = Options::default();
    if let Some(global) = variable("GIT_CONFIG_GLOBAL") {
        // It stands in for the user's own files. gix takes no path for those, but
        // one for each of the two levels below, which rank in the same order.
        permissions.config.git = false;
        permissions.config.user = false;
        permissions.config.system = true;
        permissions.config.git_binary = system.is_some();
        options = options.system_config_path(global);
        if let Some(system) = system {
            options = options.git_installation_config_path(system);
        }
    } else if let Some(system) = system {
        options = options.system_config_path(system);
    }
    options.permissions(permissions).bail_if_untrusted(true)
}

fn refused(path: &Path, error: &gix::Error) -> GitError {
    let path = path.to_owned();
    if let Some(error) = error.downcast_any_ref::<upwards::Error>() {
        return match error {
            upwards::Error::NoTrustedGitRepository { candidate, .. } => {
                GitError::Untrusted { path: candidate.clone() }
            }
            _ => GitError::NotARepository { path },
        };
    }
    // Of the same class, but another matter: files that may not be read.
    let denied_by_system = error.downcast_any_ref::<std::io::Error>().is_some();
    if error.dominant_class() == Some(gix::error::Class::PermissionDenied) && !denied_by_system {
        return GitError::Untrusted { path };
    }
    GitError::Open { path, reason: reason(error) }
}

/// The whole chain of causes in one line.
pub(super) fn reason(error: &gix::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.iter_errors() {
        let text = cause.to_string();
        if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

fn canonical(path: &Path) -> Result<AbsPath, GitError> {
    let failed = |source| GitError::Io { path: path.to_owned(), source };
    let canonical = path.canonicalize().map_err(failed)?;
    AbsPath::new(canonical).ok_or_else(|| failed(std::io::ErrorKind::InvalidInput.into()))
}
