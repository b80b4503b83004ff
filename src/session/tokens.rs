//! The tokens of a data directory: made, listed and revoked at the command line, looked up
//! by the daemon, which sees every change of the file at the next request.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::secret::{Token, find, hash};
use super::{NewToken, Session, TokenRecord, file};
use crate::id::encode_hex;
use crate::state_dir::{LockError, WriterLock, create_private_dir, write_atomic};

/// How long another process's change is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest name of a token, in bytes.
const MAX_NAME: usize = 100;

/// The tokens could not be read or changed. Messages name the file and the way out.
#[derive(Debug, thiserror::Error)]
pub enum TokensError {
    /// Not what was written.
    #[error(
        "the tokens in {} cannot be trusted ({detail}), so none is accepted: remove the file and make new ones \
         with `indexer token create`", path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Others can read or write it.
    #[error(
        "{} is open to others than its owner, so no token is accepted: look whether it has tokens that are not \
         yours (`indexer token list`), then `chmod 600` it", path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// Another process is changing them, for too long.
    #[error("the tokens cannot be changed: {0}; try again, or stop that process")]
    Locked(LockError),
    /// The operating system refused.
    #[error("{}: {source}; check its permissions and its disk, or choose another --data-dir", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The name is taken.
    #[error("there is a token called {0:?} already: revoke it first, or choose another name")]
    Taken(String),
    /// The name is none.
    #[error("{0:?} is no name for a token: 1 to 100 bytes on one line")]
    Name(String),
    /// Nothing has this name or id.
    #[error("there is no token {0:?}: `indexer token list` shows those that there are")]
    Unknown(String),
    /// The operating system has no randomness.
    #[error("no random bits for a token: {0}; try again")]
    Random(getrandom::Error),
}

/// Why somebody is not let in.
#[derive(Debug)]
pub enum Refused {
    /// No token, or none that is known.
    Unknown,
    /// It was one, up to its expiry.
    Expired,
    /// The tokens cannot be read: nobody is let in.
    Unavailable(TokensError),
}

/// The tokens, for whoever keeps a door.
pub struct Tokens {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    stamp: Option<Stamp>,
    records: Vec<Arc<TokenRecord>>,
}

/// Tells one state of the file from another: each is a new file, renamed into place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Tokens {
    /// Those of this data directory. Reads nothing yet.
    pub fn new(data_dir: &Path) -> Tokens {
        Tokens { path: path(data_dir), known: Mutex::default() }
    }

    /// The session of whoever presents this at `now`, in seconds since the epoch.
    pub fn session(&self, presented: &str, now: u64) -> Result<Session, Refused> {
        let records = self.records().map_err(Refused::Unavailable)?;
        let wanted = hash(presented).ok_or(Refused::Unknown)?;
        let at = find(records.iter().map(|record| &record.hash), &wanted).ok_or(Refused::Unknown)?;
        let record = &records[at];
        match record.expires_at.is_some_and(|expiry| expiry <= now) {
            true => Err(Refused::Expired),
            false => Ok(Session::new(Arc::clone(record))),
        }
    }

    /// Whether the token of a session still opens one at `now`: it was neither revoked nor has it
    /// expired, and the tokens can be read.
    pub fn holds(&self, session: &Session, now: u64) -> bool {
        let same = |record: &Arc<TokenRecord>| **record == *session.record;
        let expired = session.record.expires_at.is_some_and(|expiry| expiry <= now);
        !expired && self.records().is_ok_and(|records| records.iter().any(same))
    }

    /// Whether they can be read.
    pub fn check(&self) -> Result<(), TokensError> {
        self.records().map(drop)
    }

    /// As the file is now, which is read only where it has changed.
    fn records(&self) -> Result<Vec<Arc<TokenRecord>>, TokensError> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) => {
                *known = Known::default();
                return match error.kind() {
                    io::ErrorKind::NotFound => Ok(Vec::new()),
                    _ => Err(TokensError::Io { path: self.path.clone(), source: error }),
                };
            }
        };
        let stamp = Stamp::of(&metadata);
        if known.stamp != Some(stamp) {
            // Should reading fail, what was known before counts no more.
            *known = Known::default();
            known.records = read(&self.path)?.into_iter().map(Arc::new).collect();
            known.stamp = Some(stamp);
        }
        Ok(known.records.clone())
    }
}

/// All tokens, oldest first.
pub fn list(data_dir: &Path) -> Result<Vec<TokenRecord>, TokensError> {
    read(&path(data_dir))
}

/// Makes a token at `now`, in seconds since the epoch. It is not kept: this is the only time
/// that it can be had.
pub fn create(data_dir: &Path, new: NewToken, now: u64) -> Result<(Token, TokenRecord), TokensError> {
    let name = new.name;
    if name.trim().is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(TokensError::Name(name));
    }
    let token = Token::generate().map_err(TokensError::Random)?;
    let mut id = [0; 4];
    getrandom::fill(&mut id).map_err(TokensError::Random)?;
    let record = TokenRecord {
        id: encode_hex(&id),
        name,
        hash: token.hash(),
        role: new.role,
        reach: new.reach,
        created_at: now,
        expires_at: new.expires_at,
    };
    update(data_dir, |records| {
        if records.iter().any(|known| known.name == record.name || known.id == record.id) {
            return Err(TokensError::Taken(record.name.clone()));
        }
        records.push(record.clone());
        Ok(())
    })?;
    Ok((token, record))
}

/// Forgets the token of this name or id: whoever presents it is refused from now on.
pub fn revoke(data_dir: &Path, name: &str) -> Result<TokenRecord, TokensError> {
    update(data_dir, |records| {
        let named = |record: &TokenRecord| record.name == name;
        let at = records.iter().position(named);
        let at = at.or_else(|| records.iter().position(|record| record.id == name));
        at.map(|at| records.remove(at)).ok_or_else(|| TokensError::Unknown(name.to_owned()))
    })
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("tokens.json")
}

/// None where there is no file.
fn read(path: &Path) -> Result<Vec<TokenRecord>, TokensError> {
    let failed = |source| TokensError::Io { path: path.to_owned(), source };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    if metadata.mode() & 0o077 != 0 {
        return Err(TokensError::Open { path: path.to_owned() });
    }
    let bytes = fs::read(path).map_err(failed)?;
    file::decode(&bytes).map_err(|detail| TokensError::Damaged { path: path.to_owned(), detail })
}

/// Changes the file, alone. A file that cannot be read is never overwritten.
fn update<T>(
    data_dir: &Path,
    change: impl FnOnce(&mut Vec<TokenRecord>) -> Result<T, TokensError>,
) -> Result<T, TokensError> {
    create_private_dir(data_dir).map_err(|source| TokensError::Io { path: data_dir.to_owned(), source })?;
    let lock = WriterLock::acquire_within(&data_dir.join("tokens.lock"), PATIENCE);
    let _lock = lock.map_err(|error| match error {
        LockError::Io { path, source } => TokensError::Io { path, source },
        held => TokensError::Locked(held),
    })?;
    let path = path(data_dir);
    let mut records = read(&path)?;
    let result = change(&mut records)?;
    write_atomic(&path, &file::encode(&records)).map_err(|source| TokensError::Io { path, source })?;
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::session::Reach;
    use crate::session::tests::member;
    use crate::tenant::Role;

    fn new(name: &str) -> NewToken {
        NewToken {
            name: name.into(),
            role: Role::Write,
            reach: Reach::Machine { projects: None },
            expires_at: Some(100),
        }
    }

    #[test]
    fn a_token_opens_a_session_until_it_expires_or_is_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let tokens = Tokens::new(dir.path());
        let stranger = Token::generate().unwrap();
        assert!(matches!(tokens.session(stranger.expose(), 1), Err(Refused::Unknown)), "no file yet");
        let (token, record) = create(dir.path(), new("laptop"), 1).unwrap();
        let (second, _) = create(dir.path(), NewToken { reach: member(), ..new("ci") }, 2).unwrap();
        let session = tokens.session(token.expose(), 99).unwrap();
        assert_eq!((session.id(), session.role()), (record.id.as_str(), Role::Write));
        assert!(matches!(tokens.session(token.expose(), 100), Err(Refused::Expired)));
        for wrong in [stranger.expose(), "", "ctxi_", &token.expose()[..20]] {
            assert!(matches!(tokens.session(wrong, 1), Err(Refused::Unknown)), "{wrong}");
        }
        assert!(matches!(create(dir.path(), new("laptop"), 1), Err(TokensError::Taken(_))));
        assert!(matches!(create(dir.path(), new(" \n"), 1), Err(TokensError::Name(_))));
        revoke(dir.path(), "laptop").unwrap();
        assert!(matches!(tokens.session(token.expose(), 1), Err(Refused::Unknown)), "at once");
        tokens.session(second.expose(), 1).unwrap();
        assert!(matches!(revoke(dir.path(), "laptop"), Err(TokensError::Unknown(_))));
        let listed = list(dir.path()).unwrap();
        assert_eq!(listed.iter().map(|record| &*record.name).collect::<Vec<_>>(), ["ci"]);
        revoke(dir.path(), &listed[0].id).unwrap();
        assert!(list(dir.path()).unwrap().is_empty());
    }

    #[test]
    fn what_is_kept_is_private_and_holds_no_token() {
        let dir = tempfile::tempdir().unwrap();
        let projects = Some(BTreeSet::from(["/src/a/.git".into(), "/src/b".into()]));
        let mut made = Vec::new();
        for (at, reach) in
            [Reach::Machine { projects }, Reach::Machine { projects: None }, member()].into_iter().enumerate()
        {
            let new = NewToken { reach, expires_at: None, ..new(&format!("t{at}")) };
            made.push(create(dir.path(), new, 7).unwrap());
        }
        let path = path(dir.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        for (token, record) in &made {
            assert!(!text.contains(&token.expose()[crate::session::PREFIX.len()..]));
            assert!(list(dir.path()).unwrap().contains(record));
        }
    }

    #[test]
    fn what_cannot_be_trusted_lets_nobody_in_and_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let (token, _) = create(dir.path(), new("laptop"), 1).unwrap();
        let tokens = Tokens::new(dir.path());
        tokens.session(token.expose(), 1).unwrap();
        let path = path(dir.path());
        let good = fs::read_to_string(&path).unwrap();
        for bad in [
            String::new(),
            "[]".into(),
            good[..good.len() / 2].to_owned(),
            good.replace("\"version\": 1", "\"version\": 2"),
            good.replace("\"write\"", "\"root\""),
            good.replace("\"hash\": \"", "\"hash\": \"00"),
            good.replace("\"name\"", "\"nom\""),
        ] {
            write_atomic(&path, bad.as_bytes()).unwrap();
            let refused = tokens.session(token.expose(), 1).err();
            assert!(matches!(refused, Some(Refused::Unavailable(TokensError::Damaged { .. }))), "{bad}");
            assert!(create(dir.path(), new("other"), 1).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
        write_atomic(&path, good.as_bytes()).unwrap();
        tokens.session(token.expose(), 1).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let refused = tokens.session(token.expose(), 1).err();
        assert!(matches!(refused, Some(Refused::Unavailable(TokensError::Open { .. }))));
        fs::remove_file(&path).unwrap();
        assert!(matches!(tokens.session(token.expose(), 1), Err(Refused::Unknown)));
    }
}
