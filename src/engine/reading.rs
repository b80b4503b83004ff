//! A worktree's files as they are on disk now: exact lines, definitions, text. Needs no index.

use super::{EngineError, Workspace};
use crate::git;
use crate::language::Language;
use crate::path::RepoPath;
use crate::redact;
use crate::search::exact::{self, Definition, Line, Pattern, Read, Scope};
use crate::search::outline::Outline;
use crate::skip::SkipReason;
use crate::store::Paths;

/// Files over this many bytes are not shown.
const MAX_SHOWN_BYTES: u64 = 16 << 20;

/// A file's text, redacted, with what it defines.
pub struct Text {
    /// Its path.
    pub path: RepoPath,
    /// All of it; what is not UTF-8 is replaced.
    pub text: String,
    /// Its definitions.
    pub outline: Outline,
}

/// Which files and lines are meant, as in [`crate::store::Filter`]. Empty lists restrict nothing.
#[derive(Clone, Debug, Default)]
pub struct Restriction {
    /// Path globs.
    pub paths: Vec<String>,
    /// Languages.
    pub languages: Vec<Language>,
    /// Kinds of the innermost symbol around a line.
    pub kinds: Vec<String>,
}

impl Workspace {
    /// Every line that matches.
    pub fn find_lines(&self, pattern: &Pattern, only: &Restriction) -> Result<Read<Line>, EngineError> {
        let globs = Paths::compile(&only.paths)?;
        let path = |path: &RepoPath| globs.as_ref().is_none_or(|globs| globs.matches(path));
        let scope = Scope { path: &path, languages: &only.languages, kinds: &only.kinds };
        Ok(exact::lines(self.root(), &self.worktree().list()?, pattern, &scope))
    }

    /// Every definition of a name, which may be qualified.
    pub fn find_definitions(&self, name: &str) -> Result<Vec<Definition>, EngineError> {
        let scope = Scope { path: &|_| true, languages: &[], kinds: &[] };
        let found = exact::definitions(self.root(), &self.worktree().list()?, name, &scope);
        Ok(found.map_err(|why| EngineError::Name { name: name.to_owned(), why })?.found)
    }

    /// What a file defines; nothing where it cannot be read.
    pub fn outline(&self, path: &RepoPath) -> Outline {
        let text = |bytes: Vec<u8>| Outline::of(path, &String::from_utf8_lossy(&bytes));
        git::read_file(self.root(), path, MAX_SHOWN_BYTES)
            .map_or_else(|_| Outline::default(), |file| text(file.bytes))
    }

    /// The text of a file that git shows and the project does not withhold.
    pub fn text(&self, path: &RepoPath) -> Result<Text, EngineError> {
        let hidden = |why: String| EngineError::Hidden { path: path.clone(), why };
        let listing = self.worktree().list()?;
        match listing.entries.binary_search_by(|entry| entry.path.cmp(path)) {
            Ok(at) if listing.entries[at].skip == Some(SkipReason::IndexerIgnored) => {
                return Err(hidden(SkipReason::IndexerIgnored.explanation().to_owned()));
            }
            Ok(_) => {}
            Err(_) => return Err(hidden("git shows no such file in this worktree".to_owned())),
        }
        let file = git::read_file(self.root(), path, MAX_SHOWN_BYTES);
        let bytes = file.map_err(|error| hidden(error.to_string()))?.bytes;
        let (text, _) = redact::redact(path, &String::from_utf8_lossy(&bytes));
        let outline = Outline::of(path, &text);
        Ok(Text { path: path.clone(), text, outline })
    }
}
