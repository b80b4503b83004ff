//! Names of databases and collections, made from paths. Pure.

use std::path::Path;

use super::{Member, TenantError};
use crate::id::{CollectionName, DatabaseName, InvalidName, bytes_hash8, path_hash8};
use crate::store::DatabaseKind;

/// The team of a machine without one.
const LOCAL_TEAM: &str = "local";
/// The longest name that a store takes.
const MAX_LEN: usize = 64;

/// `project_<hash8>`.
pub(super) fn project_database(project: &Path) -> Result<DatabaseName, InvalidName> {
    DatabaseName::new(&format!("project_{}", path_hash8(project)))
}

/// `shared`.
pub(super) fn shared_database() -> Result<DatabaseName, InvalidName> {
    DatabaseName::new("shared")
}

/// What a database of this name is.
pub(super) fn kind(name: &DatabaseName) -> DatabaseKind {
    match name.as_str() {
        "shared" => DatabaseKind::Shared,
        text if text.starts_with("project_") => DatabaseKind::Project,
        _ => DatabaseKind::Organisation,
    }
}

/// An organisation's database must not be taken for one of a machine's.
pub(super) fn check_organisation(name: &DatabaseName) -> Result<(), TenantError> {
    match kind(name) {
        DatabaseKind::Organisation => Ok(()),
        DatabaseKind::Project | DatabaseKind::Shared => Err(TenantError::Reserved(name.clone())),
    }
}

/// The collection of a worktree of a machine's project.
pub(super) fn local_collection(project: &Path, worktree: &Path) -> Result<CollectionName, InvalidName> {
    code_collection(LOCAL_TEAM, &project_name(project), &path_hash8(worktree))
}

/// The collection of a member's worktree. Equal paths of two people, or of two of their
/// projects, are two worktrees.
pub(super) fn member_collection(member: &Member, worktree: &Path) -> Result<CollectionName, InvalidName> {
    let Member { organisation: _, team, project, user } = member;
    let mut owned: Vec<u8> = Vec::new();
    for part in [team.as_str(), project.as_str(), user.as_str()] {
        owned.extend_from_slice(part.as_bytes());
        owned.push(0);
    }
    owned.extend_from_slice(worktree.as_os_str().as_encoded_bytes());
    code_collection(team.as_str(), project.as_str(), &bytes_hash8(&owned))
}

/// `<team>_<project>_codebase_<worktree hash8>`, the project's name cut so that
/// all of it fits.
fn code_collection(team: &str, project: &str, hash8: &str) -> Result<CollectionName, InvalidName> {
    let rest = format!("_codebase_{hash8}");
    let mut name = format!("{team}_{project}");
    name.truncate(MAX_LEN.saturating_sub(rest.len()));
    CollectionName::new(&format!("{}{rest}", name.trim_end_matches('_')))
}

/// A readable name: of the directory that has the repository, in `[a-z0-9_]`. For
/// people; identity is in the hashes.
fn project_name(project: &Path) -> String {
    let directory = match project.file_name() {
        Some(name) if name == ".git" => project.parent().and_then(Path::file_name),
        name => name,
    };
    let directory = directory.unwrap_or_default().to_string_lossy();
    let directory = directory.strip_suffix(".git").unwrap_or(&directory);
    let words: Vec<String> = directory
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    if words.is_empty() { "project".to_owned() } else { words.join("_") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ProjectName, TeamName, UserName};
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn collections_are_named_by_team_project_and_worktree() {
        let hash = path_hash8(Path::new("/w"));
        let long = "x".repeat(80);
        for (project, expected) in [
            ("/src/cargo/.git", "local_cargo".to_owned()),
            ("/src/cargo.git", "local_cargo".to_owned()),
            ("/src/My Project (old)", "local_my_project_old".to_owned()),
            ("/src/__", "local_project".to_owned()),
            ("/", "local_project".to_owned()),
            ("/.git", "local_project".to_owned()),
            ("/src/данные", "local_project".to_owned()),
            (long.as_str(), format!("local_{}", "x".repeat(40))),
        ] {
            let project = Path::new("/src").join(project);
            let name = local_collection(&project, Path::new("/w")).unwrap();
            assert_eq!(name.as_str(), format!("{expected}_codebase_{hash}"), "{project:?}");
        }
    }

    #[test]
    fn a_malformed_team_is_refused() {
        for team in ["Team", "te am", "../up", "ｔeam"] {
            assert!(code_collection(team, "p", "00000000").is_err(), "{team}");
        }
    }

    #[test]
    fn members_do_not_share_collections() {
        let member = |team: &str, project: &str, user: &str| Member {
            organisation: DatabaseName::new("acme").unwrap(),
            team: TeamName::new(team).unwrap(),
            project: ProjectName::new(project).unwrap(),
            user: UserName::new(user).unwrap(),
        };
        let members = [
            member("core", "app", "ada"),
            member("core", "app", "bob"),
            member("core", "app_ada", "x"),
            member("core_app", "ada", "x"),
            member(&"t".repeat(64), "app", "ada"),
            member(&"t".repeat(64), "other", "ada"),
        ];
        let names: Vec<_> =
            members.iter().map(|member| member_collection(member, Path::new("/w")).unwrap()).collect();
        assert!(names[0].as_str().starts_with("core_app_codebase_"), "{}", names[0]);
        let distinct: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), members.len(), "{names:?}");
    }

    proptest! {
        #[test]
        fn every_path_has_names(project: Vec<u8>, worktree: Vec<u8>) {
            let path = |bytes: &[u8]| Path::new("/").join(OsStr::from_bytes(bytes));
            let (project, worktree) = (path(&project), path(&worktree));
            let name = local_collection(&project, &worktree).unwrap();
            prop_assert!(name.as_str().ends_with(&path_hash8(&worktree)));
            prop_assert!(project_database(&project).is_ok());
        }
    }
}
