//! Reading a file: no link followed, nothing that blocks, no torn read, and a
//! signature only where it can be trusted.

use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use super::super::{ReadError, read_file, trusted};
use super::Fixture;
use crate::manifest::Stat;
use crate::path::{AbsPath, RepoPath};
use crate::skip::SkipReason;

fn path(at: impl AsRef<[u8]>) -> RepoPath {
    RepoPath::new(at.as_ref()).expect("well-formed")
}

fn root(fixture: &Fixture) -> AbsPath {
    AbsPath::new(fixture.root.clone()).expect("absolute")
}

fn age(fixture: &Fixture, at: &str) {
    let file = std::fs::File::options().write(true).open(fixture.at(at)).expect("opens");
    file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("set");
}

#[test]
fn bytes_and_signature_of_the_same_file() {
    let fixture = Fixture::new();
    fixture.write(b"d/caf\xe9", "bytes\r\n");
    let contents = read_file(&root(&fixture), &path(b"d/caf\xe9"), 100).expect("reads");
    assert_eq!(contents.bytes, b"bytes\r\n", "as on disk, no filter");
    let listed = &fixture.list().entries[0];
    assert_eq!(contents.stat, listed.stat, "the listing's signature");
    assert_eq!(contents.signature, None, "just written: racily clean");
    fixture.write("empty", "");
    assert_eq!(read_file(&root(&fixture), &path("empty"), 0).expect("reads").bytes, b"");
}

#[test]
fn a_signature_is_trusted_once_two_seconds_old() {
    const S: i64 = 1_000_000_000;
    let now = 1_000 * S;
    let at = |mtime_ns, ctime_ns| Stat { mtime_ns, ctime_ns, size: 1, inode: 1 };
    for (name, stat, expected) in [
        ("old", at(now - 10 * S, now - 10 * S), true),
        ("exactly two seconds", at(now - 2 * S, now - 2 * S), true),
        ("written just now", at(now - S, now - S), false),
        ("touch -d: old mtime, new ctime", at(now - 100 * S, now - S), false),
        ("mtime just ahead, clock skew", at(now + S, now - 10 * S), false),
        ("mtime far ahead, set on purpose", at(now + 1_000_000 * S, now - 10 * S), true),
        ("ctime ahead: another machine's clock", at(now - 10 * S, now + 5 * S), false),
        ("before the epoch", at(-5 * S, now - 10 * S), true),
        ("extremes", at(i64::MIN, i64::MIN), true),
    ] {
        assert_eq!(trusted(stat, now).is_some(), expected, "{name}");
    }
    let fixture = Fixture::new();
    fixture.write("a", "x");
    age(&fixture, "a");
    let contents = read_file(&root(&fixture), &path("a"), 10).expect("reads");
    assert_eq!(contents.signature, None, "an old mtime does not hide a new ctime");
}

#[test]
fn what_is_not_a_file_in_the_worktree_is_not_read() {
    let fixture = Fixture::new();
    let outside = fixture.base.path().join("secret");
    std::fs::write(&outside, "secret").expect("written");
    fixture.write("d/x", "12345");
    symlink(&outside, fixture.at("link")).expect("link");
    symlink(fixture.base.path(), fixture.at("up")).expect("link");
    symlink("d", fixture.at("alias")).expect("link");
    symlink("loop", fixture.at("loop")).expect("link");
    rustix::fs::mknodat(rustix::fs::CWD, fixture.at("pipe"), rustix::fs::FileType::Fifo, 0o644.into(), 0)
        .expect("made");
    let _socket = std::os::unix::net::UnixListener::bind(fixture.at("socket")).expect("bound");
    let read = |at: &str| read_file(&root(&fixture), &path(at), 4).expect_err(at);
    for (at, expected) in [
        ("link", SkipReason::Symlink),
        ("loop", SkipReason::Symlink),
        ("pipe", SkipReason::Special),
        ("socket", SkipReason::Special),
        ("d", SkipReason::Submodule),
    ] {
        let error = read(at);
        assert!(matches!(&error, ReadError::NotAFile { reason, .. } if *reason == expected), "{at}: {error}");
    }
    for at in ["none", "d/none", "up/secret", "alias/x", "d/x/y"] {
        let error = read(at);
        assert!(matches!(&error, ReadError::Vanished(_)), "{at}: {error}");
    }
    let error = read("d/x");
    assert!(matches!(&error, ReadError::TooLarge { size: 5, max: 4, .. }), "{error}");
}

/// A writer that never stops: each read is whole, or there is none.
#[test]
fn a_file_that_changes_meanwhile_is_never_torn() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let fixture = Fixture::new();
    let (one, two) = (vec![b'1'; 200_000], vec![b'2'; 200_000]);
    fixture.write("a", &one);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let target = fixture.at("a");
            let draft = fixture.at("draft");
            for content in [&two, &one].into_iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                std::fs::write(&draft, content).expect("written");
                std::fs::rename(&draft, &target).expect("renamed");
            }
        });
        for _ in 0..200 {
            match read_file(&root(&fixture), &path("a"), 1 << 20) {
                Ok(contents) => assert!(contents.bytes == one || contents.bytes == two),
                Err(error) => assert!(matches!(error, ReadError::Changing(_)), "{error}"),
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}
