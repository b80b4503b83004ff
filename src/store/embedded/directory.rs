//! The tantivy index's files: what tantivy calls a `Directory`, for reading and
//! for writing.
//!
//! Both pin the commit record that was read when they were made, so that all of
//! one view comes from one state. The record on disk is tantivy's `meta.json`
//! in an envelope that adds length and CRC-32 of every file it refers to, and of
//! itself: any flipped bit is found, where tantivy alone checks nothing on reading.
//!
//! Format of the envelope: tantivy's JSON, newline, JSON object of file name to
//! `[length, crc]` on one line, newline, CRC-32 of all before in 8 hex digits, newline.
//!
//! Reading takes no lock and writes nothing, so that it works on a read-only disk;
//! who reads must be ready for a file to be gone and start again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    AntiCallToken, Directory, DirectoryLock, FileHandle, Lock, MmapDirectory, TerminatingWrite,
    WatchCallback, WatchHandle, WritePtr,
};

use crate::state_dir;

/// The commit record.
pub(super) const META: &str = "meta.json";
/// Tantivy's list of the files it made. Never on disk here: the directory itself
/// is the list, and so it cannot be torn or forget a file.
const MANAGED: &str = ".managed.json";

/// Length and CRC-32 of each file of a commit, by name.
pub(super) type FileTable = BTreeMap<String, (u64, u32)>;

/// What the commit record says.
#[derive(Clone, Debug, Default)]
pub(super) struct Envelope {
    /// Tantivy's own `meta.json`.
    pub(super) meta: Vec<u8>,
    /// Files.
    pub(super) files: FileTable,
}

impl Envelope {
    fn encode(&self) -> io::Result<Vec<u8>> {
        let mut out = self.meta.trim_ascii_end().to_vec();
        out.push(b'\n');
        serde_json::to_writer(&mut out, &self.files)?;
        let checksum = crc32fast::hash(&out);
        writeln!(out, "\n{checksum:08x}")?;
        Ok(out)
    }

    /// The error says what is wrong.
    pub(super) fn decode(bytes: &[u8]) -> Result<Envelope, String> {
        let parse = || {
            let (body, tail) = bytes.split_at_checked(bytes.len().checked_sub(10)?)?;
            (tail == format!("\n{:08x}\n", crc32fast::hash(body)).as_bytes()).then_some(())?;
            let split = body.iter().rposition(|b| *b == b'\n')?;
            let files = serde_json::from_slice(&body[split + 1..]).ok()?;
            Some(Envelope { meta: body[..split].to_vec(), files })
        };
        parse().ok_or_else(|| "its checksum does not match".to_owned())
    }
}

fn name_of(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn unsupported(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::ReadOnlyFilesystem, format!("{} is open for reading", path.display()))
}

fn no_lock() -> DirectoryLock {
    DirectoryLock::from(Box::new(()))
}

/// Serves one committed state.
#[derive(Clone, Debug)]
pub(super) struct ReadDirectory {
    files: MmapDirectory,
    meta: Arc<Vec<u8>>,
}

impl ReadDirectory {
    pub(super) fn new(files: MmapDirectory, meta: Vec<u8>) -> ReadDirectory {
        ReadDirectory { files, meta: Arc::new(meta) }
    }
}

impl Directory for ReadDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }
    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(name_of(path) == META || self.files.exists(path)?)
    }
    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        match name_of(path) {
            META => Ok(self.meta.to_vec()),
            _ => Err(OpenReadError::FileDoesNotExist(path.to_owned())),
        }
    }
    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        Err(DeleteError::IoError { io_error: Arc::new(unsupported(path)), filepath: path.to_owned() })
    }
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(unsupported(path), path.to_owned()))
    }
    fn atomic_write(&self, path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(unsupported(path))
    }
    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(no_lock())
    }
    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

/// Writes the next state. Whoever makes one holds the collection's writer lock.
#[derive(Clone, Debug)]
pub(super) struct WriteDirectory {
    files: MmapDirectory,
    root: PathBuf,
    shared: Arc<Mutex<Written>>,
}

#[derive(Debug, Default)]
struct Written {
    envelope: Envelope,
    /// Files that were written and are not synced yet: all are at once, by the commit.
    pending: Vec<(PathBuf, File)>,
    /// The first failure of a write: tantivy reports only that a thread has died.
    failure: Option<(PathBuf, io::Error)>,
}

impl WriteDirectory {
    /// `root` is the directory that `files` serves; `envelope` its last commit.
    pub(super) fn new(root: PathBuf, files: MmapDirectory, envelope: Envelope) -> WriteDirectory {
        WriteDirectory {
            files,
            root,
            shared: Arc::new(Mutex::new(Written { envelope, ..Written::default() })),
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Written) -> T) -> T {
        act(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The first write that failed, if any did.
    pub(super) fn take_failure(&self) -> Option<(PathBuf, io::Error)> {
        self.with(|written| written.failure.take())
    }

    fn note<T>(&self, path: &Path, result: io::Result<T>) -> io::Result<T> {
        result.inspect_err(|error| {
            let copy = error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            self.with(|written| {
                // `join` leaves an absolute path as it is.
                written.failure.get_or_insert_with(|| (self.root.join(path), copy));
            });
        })
    }

    /// Files outside the index that the next commit refers to.
    pub(super) fn sync_with_commit(&self, files: Vec<(PathBuf, File)>) {
        self.with(|written| written.pending.extend(files));
    }

    /// Syncs what was written and replaces the commit record: the one atomic point.
    pub(super) fn commit(&self, meta: &[u8]) -> io::Result<()> {
        let (files, pending) =
            self.with(|written| (written.envelope.files.clone(), std::mem::take(&mut written.pending)));
        let mut envelope = Envelope { meta: meta.to_vec(), files };
        let referred = referred_files(meta)?;
        envelope.files.retain(|name, _| referred(name));
        let replaced = state_dir::replace_atomic(&self.root.join(META), &envelope.encode()?, pending);
        if let Err((path, error)) = replaced {
            return self.note(&path, Err(error));
        }
        self.with(|written| written.envelope.meta = envelope.meta);
        Ok(())
    }
}

/// Whether a file belongs to the state that `meta` describes.
fn referred_files(meta: &[u8]) -> io::Result<impl Fn(&str) -> bool + use<>> {
    #[derive(serde::Deserialize)]
    struct Meta {
        segments: Vec<Segment>,
    }
    #[derive(serde::Deserialize)]
    struct Segment {
        segment_id: String,
        deletes: Option<Deletes>,
    }
    #[derive(serde::Deserialize)]
    struct Deletes {
        opstamp: u64,
    }
    let meta: Meta = serde_json::from_slice(meta)?;
    let segments: BTreeMap<String, Option<String>> = meta
        .segments
        .into_iter()
        .map(|s| (s.segment_id.replace('-', ""), s.deletes.map(|d| d.opstamp.to_string())))
        .collect();
    Ok(move |name: &str| {
        let Some((id, rest)) = name.split_once('.') else { return false };
        let Some(deletes) = segments.get(id) else { return false };
        match rest.strip_suffix(".del") {
            Some(opstamp) => deletes.as_deref() == Some(opstamp),
            None => !rest.ends_with(".temp"),
        }
    })
}

impl Directory for WriteDirectory {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }
    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        Ok(name_of(path) == META || self.files.exists(path)?)
    }
    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        match name_of(path) {
            META => Ok(self.with(|written| written.envelope.meta.clone())),
            MANAGED => {
                let failed = |e: io::Error| OpenReadError::wrap_io_error(e, self.root.clone());
                let mut names = Vec::new();
                for entry in std::fs::read_dir(&self.root).map_err(failed)? {
                    names.extend(entry.map_err(failed)?.file_name().into_string());
                }
                names.retain(|name| !name.starts_with('.'));
                serde_json::to_vec(&names).map_err(|e| failed(e.into()))
            }
            _ => Err(OpenReadError::FileDoesNotExist(path.to_owned())),
        }
    }
    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.files.delete(path)
    }
    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let created = File::create_new(self.root.join(path));
        let file = self.note(path, created).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => OpenWriteError::FileAlreadyExists(path.to_owned()),
            _ => OpenWriteError::wrap_io_error(error, path.to_owned()),
        })?;
        Ok(BufWriter::new(Box::new(ChecksumWriter {
            file,
            directory: self.clone(),
            path: path.to_owned(),
            hasher: crc32fast::Hasher::new(),
            len: 0,
        })))
    }
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        match name_of(path) {
            META => self.commit(data),
            MANAGED => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "only the commit record is written atomically",
            )),
        }
    }
    fn sync_directory(&self) -> io::Result<()> {
        // The commit does.
        Ok(())
    }
    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(no_lock())
    }
    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

/// Computes length and CRC-32 of a file as it is written. Buffered by its user.
struct ChecksumWriter {
    file: File,
    directory: WriteDirectory,
    path: PathBuf,
    hasher: crc32fast::Hasher,
    len: u64,
}

impl Write for ChecksumWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.file.write(bytes);
        let written = self.directory.note(&self.path, result)?;
        self.hasher.update(&bytes[..written]);
        self.len += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl TerminatingWrite for ChecksumWriter {
    fn terminate_ref(&mut self, _token: AntiCallToken) -> io::Result<()> {
        let file = self.directory.note(&self.path, self.file.try_clone())?;
        let entry = (self.len, self.hasher.clone().finalize());
        self.directory.with(|written| {
            written.envelope.files.insert(name_of(&self.path).to_owned(), entry);
            written.pending.push((self.directory.root.join(&self.path), file));
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flip_and_cut_of_the_envelope_is_found() {
        let envelope = Envelope {
            meta: b"{\n \"segments\": []\n}".to_vec(),
            files: BTreeMap::from([("a.term".to_owned(), (7, 9))]),
        };
        let bytes = envelope.encode().unwrap();
        let read = Envelope::decode(&bytes).unwrap();
        assert_eq!((read.meta, read.files), (envelope.meta, envelope.files));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Envelope::decode(&damaged).is_err(), "flip at {at}");
            assert!(Envelope::decode(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn only_the_files_of_the_state_are_kept_in_the_table() {
        let meta = br#"{"segments":[{"segment_id":"aa-bb","deletes":{"opstamp":7}},{"segment_id":"cc"}]}"#;
        let referred = referred_files(meta).unwrap();
        let cases = [
            ("aabb.term", true),
            ("aabb.7.del", true),
            ("aabb.6.del", false),
            ("cc.store", true),
            ("cc.store.temp", false),
            ("cc.7.del", false),
            ("dd.term", false),
            ("meta", false),
        ];
        for (name, expected) in cases {
            assert_eq!(referred(name), expected, "{name}");
        }
    }
}
