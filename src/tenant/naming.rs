//! Names of databases and collections, made from paths. Pure.

use std::path::Path;

use crate::id::{CollectionName, DatabaseName, InvalidName, path_hash8};

/// The team of a machine without one.
pub(super) const LOCAL_TEAM: &str = "local";
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

/// `<team>_<project>_codebase_<worktree hash8>`, the project's name cut so that
/// all of it fits.
pub(super) fn code_collection(
    team: &str,
    project: &Path,
    worktree: &Path,
) -> Result<CollectionName, InvalidName> {
    let rest = format!("_codebase_{}", path_hash8(worktree));
    let mut name = format!("{team}_{}", project_name(project));
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
            let name = code_collection(LOCAL_TEAM, &project, Path::new("/w")).unwrap();
            assert_eq!(name.as_str(), format!("{expected}_codebase_{hash}"), "{project:?}");
        }
    }

    #[test]
    fn a_malformed_team_is_refused() {
        for team in ["Team", "te am", "../up", "ｔeam"] {
            assert!(code_collection(team, Path::new("/p"), Path::new("/w")).is_err(), "{team}");
        }
    }

    proptest! {
        #[test]
        fn every_path_has_names(project: Vec<u8>, worktree: Vec<u8>) {
            let path = |bytes: &[u8]| Path::new("/").join(OsStr::from_bytes(bytes));
            let (project, worktree) = (path(&project), path(&worktree));
            let name = code_collection(LOCAL_TEAM, &project, &worktree).unwrap();
            prop_assert!(name.as_str().ends_with(&path_hash8(&worktree)));
            prop_assert!(project_database(&project).is_ok());
        }
    }
}
