//! Who asks, and what they may do. Made once, where a request enters; nothing downstream
//! can change it but to take rights away.

use std::path::{Component, Path, PathBuf};

use super::{TenantError, naming};
use crate::id::{CollectionName, DatabaseName, ProjectName, TeamName, UserName};

/// What a tenant may do in its database. Each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Search and read.
    Read,
    /// Also add, change and remove points and collections.
    Write,
    /// Also remove the database.
    Admin,
}

impl Role {
    /// All of them, weakest first.
    pub const ALL: [Role; 3] = [Role::Read, Role::Write, Role::Admin];

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Role::Read => "read",
            Role::Write => "write",
            Role::Admin => "admin",
        }
    }

    /// Reads what [`Role::name`] gives.
    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// Who asks: on a machine of one person, for which project; on a server, who of which
/// organisation. There is no way to make one without saying so, and none to change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantContext {
    scope: Scope,
    role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Local { project: PathBuf },
    Member(Member),
}

/// A member of an organisation at work on one of its projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The organisation, by the name of its database.
    pub organisation: DatabaseName,
    /// The team.
    pub team: TeamName,
    /// The project.
    pub project: ProjectName,
    /// The person.
    pub user: UserName,
}

impl TenantContext {
    /// The tenant of a machine without an organisation, whose person may do everything.
    /// `project` is the canonical absolute path that all worktrees of a repository share
    /// ([`crate::git::Worktree::project_path`]). It need not exist: that is for who reads it to say.
    pub fn local(project: &Path) -> Result<TenantContext, TenantError> {
        check_canonical(project)?;
        Ok(TenantContext { scope: Scope::Local { project: project.to_owned() }, role: Role::Admin })
    }

    /// A member of an organisation. Its name is not one that databases of a machine have.
    pub fn member(member: Member, role: Role) -> Result<TenantContext, TenantError> {
        naming::check_organisation(&member.organisation)?;
        Ok(TenantContext { scope: Scope::Member(member), role })
    }

    /// The same tenant with at most the rights of `role`.
    pub fn at_most(self, role: Role) -> TenantContext {
        TenantContext { role: self.role.min(role), ..self }
    }

    /// What the tenant may do.
    pub fn role(&self) -> Role {
        self.role
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Name of the collection of code of the worktree with this canonical root. Paths
    /// of equal hash have equal names; the store tells them apart by
    /// [`crate::store::Schema::source`], and refuses the second.
    pub fn code_collection(&self, worktree: &Path) -> Result<CollectionName, TenantError> {
        check_canonical(worktree)?;
        Ok(match &self.scope {
            Scope::Local { project } => naming::local_collection(project, worktree)?,
            Scope::Member(member) => naming::member_collection(member, worktree)?,
        })
    }
}

/// Two spellings of one path would be two tenants, and `..` none at all.
fn check_canonical(path: &Path) -> Result<(), TenantError> {
    let malformed = |reason| Err(TenantError::Malformed { path: path.to_owned(), reason });
    if path.as_os_str().is_empty() {
        return malformed("it is empty");
    }
    if !path.is_absolute() {
        return malformed("it is relative");
    }
    if path.as_os_str().as_encoded_bytes().contains(&0) {
        return malformed("it contains a NUL byte");
    }
    if path.components().any(|component| component == Component::ParentDir) {
        return malformed("it contains `..`");
    }
    let rebuilt: PathBuf = path.components().collect();
    if rebuilt.as_os_str() != path.as_os_str() {
        return malformed("it contains `.`, `//` or a `/` at its end");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_canonical_path_is_a_tenant() {
        for good in ["/", "/src/demo/.git", "/src/a..b", "/src/с кириллицей", "/src/new\nline"] {
            assert!(TenantContext::local(Path::new(good)).is_ok(), "{good:?}");
        }
        for (bad, why) in [
            ("", "empty"),
            ("src/demo", "relative"),
            ("~/demo", "relative"),
            ("/src/../etc", ".."),
            ("/src/..", ".."),
            ("/src/./demo", "`.`"),
            ("/src//demo", "//"),
            ("/src/demo/", "at its end"),
            ("/src/\0demo", "NUL"),
        ] {
            let error = TenantContext::local(Path::new(bad)).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("canonical absolute path"), "{bad:?}: {error}");
            let tenant = TenantContext::local(Path::new("/src/demo")).unwrap();
            assert!(tenant.code_collection(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn rights_are_only_ever_taken_away() {
        let owner = TenantContext::local(Path::new("/src/demo")).unwrap();
        for first in Role::ALL {
            for second in Role::ALL {
                let role = owner.clone().at_most(first).at_most(second).role();
                assert_eq!(role, first.min(second));
            }
            assert_eq!(Role::from_name(first.name()), Some(first));
        }
        assert_eq!(Role::from_name("Admin"), None);
    }
}
