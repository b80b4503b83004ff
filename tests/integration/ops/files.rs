//! Operations on files, as editors, build tools and people do them. Whatever the
//! file system refuses is left as it is.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::{Kind, Rng, list_directories, list_files};

const DIRECTORIES: &[&str] = &["", "src", "src/net", "lib", "docs", "web/app", "deep/er/est"];
const STEMS: &[&str] = &["parse", "Parse", "server", "cache", "token", "Index", "index", "util_io", "a", "b"];
const EXTENSIONS: &[&str] = &["rs", "go", "ts", "js", "py", "md", "txt", "toml"];
const WORDS: &[&str] =
    &["read", "write", "merge", "stream", "packet", "ledger", "window", "branch", "delta", "probe"];
const ODD_NAMES: &[&[u8]] = &[
    b"caf\xe9.py",
    b"new\nline.rs",
    b"-dash.go",
    b"sp ace.ts",
    "\u{fc}n\u{ef}code.js".as_bytes(),
    b"u\xcc\x88.js",
    b"quote\"d.md",
    b"*star.py",
    b"[x].rs",
    b":(top).rs",
    b"back\\slash.go",
    b"tab\t.txt",
    b"#hash.md",
    b"!bang.py",
    b"trailing .rs",
];
const PATTERNS: &[&str] = &[
    "*.txt",
    "docs/",
    "/lib",
    "parse.*",
    "!parse.rs",
    "deep/**/est",
    "*.py",
    "!src/*.py",
    "*/",
    "web/app/*.ts",
];

pub(super) fn apply(kind: Kind, tree: &Path, rng: &mut Rng) {
    // A refusal (a name that is taken, a file that is gone) is a step that did nothing.
    drop(attempt(kind, tree, rng));
}

fn attempt(kind: Kind, tree: &Path, rng: &mut Rng) -> io::Result<()> {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let files = list_files(tree);
    let directories = list_directories(tree);
    let file = rng.pick(&files).cloned().ok_or_else(missing);
    let other = rng.pick(&files).cloned().ok_or_else(missing);
    let directory = rng.pick(&directories).cloned().ok_or_else(missing);
    match kind {
        Kind::Edit => fs::write(regular(file?)?, content(rng)),
        Kind::Append => {
            File::options().append(true).open(regular(file?)?)?.write_all(content(rng).as_bytes())
        }
        Kind::Truncate => fs::write(regular(file?)?, ""),
        Kind::Add => {
            let path = fresh_path(tree, rng);
            save(&path, content(rng).as_bytes())
        }
        Kind::AddDeep => {
            let depth = 1 + rng.below(4);
            let mut path = tree.to_owned();
            path.extend((0..depth).map(|_| *rng.pick(WORDS).unwrap_or(&"x")));
            save(&path.join(file_name(rng)), content(rng).as_bytes())
        }
        Kind::AddOddName => {
            let name = OsStr::from_bytes(rng.pick(ODD_NAMES).copied().unwrap_or(b"odd.rs"));
            let inside =
                if rng.chance(50) { directory.unwrap_or_else(|_| tree.to_owned()) } else { tree.to_owned() };
            save(&inside.join(name), content(rng).as_bytes())
        }
        Kind::Duplicate => {
            let bytes = fs::read(regular(file?)?)?;
            save(&fresh_path(tree, rng), &bytes)
        }
        Kind::Delete => fs::remove_file(file?),
        Kind::DeleteDirectory => fs::remove_dir_all(directory?),
        Kind::Rename => rename(&file?, &fresh_path(tree, rng)),
        Kind::RenameDirectory => {
            rename(&directory?, &tree.join(DIRECTORIES[1 + rng.below(6)]).join(word(rng)))
        }
        Kind::Swap => {
            let (a, b) = (file?, other?);
            let aside = tree.join(".swap-aside");
            fs::rename(&a, &aside)?;
            // The first file must come back even where the second cannot be moved.
            let moved = fs::rename(&b, &a);
            fs::rename(&aside, if moved.is_ok() { &b } else { &a })
        }
        Kind::CaseRename => {
            let path = file?;
            let name: Vec<u8> =
                path.file_name().unwrap_or_default().as_bytes().iter().map(flip_case).collect();
            fs::rename(&path, path.with_file_name(OsStr::from_bytes(&name)))
        }
        Kind::Chmod => {
            let path = regular(file?)?;
            let mode = fs::metadata(&path)?.permissions().mode();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode ^ 0o111))
        }
        Kind::Touch => {
            let times = FileTimes::new().set_modified(SystemTime::now());
            File::options().write(true).open(regular(file?)?)?.set_times(times)
        }
        Kind::SameSizeEdit => {
            let path = regular(file?)?;
            let modified = fs::metadata(&path)?.modified()?;
            let bytes = same_size(&fs::read(&path)?, rng);
            fs::write(&path, bytes)?;
            File::options().write(true).open(&path)?.set_times(FileTimes::new().set_modified(modified))
        }
        Kind::AtomicSave => {
            let path = regular(file?)?;
            let aside = path.with_file_name(".save-aside");
            fs::write(&aside, content(rng))?;
            fs::rename(aside, path)
        }
        Kind::ReplaceKeepingTimes => {
            let path = regular(file?)?;
            let modified = fs::metadata(&path)?.modified()?;
            let aside = path.with_file_name(".save-aside");
            fs::write(&aside, same_size(&fs::read(&path)?, rng))?;
            File::options().write(true).open(&aside)?.set_times(FileTimes::new().set_modified(modified))?;
            fs::rename(aside, path)
        }
        Kind::Revert => {
            // To a content that the pool gives often: what was there once comes back.
            let path = regular(file?)?;
            fs::write(path, pooled(rng.below(3)))
        }
        Kind::FileToSymlink => {
            let (path, target) = (file?, other?);
            fs::remove_file(&path)?;
            symlink(relative(tree, &path, &target), path)
        }
        Kind::DirectoryToSymlink => {
            let path = directory?;
            let target = rng.pick(&directories).cloned().ok_or_else(missing)?;
            let aside = tree.join(format!("aside-{}", word(rng)));
            fs::rename(&path, &aside)?;
            symlink(relative(tree, &path, if rng.chance(50) { &aside } else { &target }), path)
        }
        Kind::SymlinkToFile => {
            let links: Vec<PathBuf> = files.into_iter().filter(|path| path.is_symlink()).collect();
            let path = rng.pick(&links).ok_or_else(missing)?;
            fs::remove_file(path)?;
            fs::write(path, content(rng))
        }
        Kind::SymlinkLoop => {
            let path = fresh_path(tree, rng);
            save(&path, b"")?;
            fs::remove_file(&path)?;
            let itself = relative(tree, &path, &path);
            symlink(if rng.chance(50) { Path::new(".") } else { &itself }, &path)
        }
        Kind::FileToDirectory => {
            let path = file?;
            fs::remove_file(&path)?;
            save(&path.join(file_name(rng)), content(rng).as_bytes())
        }
        Kind::DirectoryToFile => {
            let path = directory?;
            fs::remove_dir_all(&path)?;
            fs::write(path, content(rng))
        }
        Kind::Fifo => {
            let path = if rng.chance(50) { file? } else { fresh_path(tree, rng) };
            drop(fs::remove_file(&path));
            Command::new("mkfifo").arg("--").arg(path).output().map(drop)
        }
        Kind::HardLink => fs::hard_link(regular(file?)?, fresh_path(tree, rng)),
        Kind::Binary => {
            fs::write(regular(file?)?, [b"GIF89a\0\x01".as_slice(), content(rng).as_bytes()].concat())
        }
        Kind::LineEndings => {
            let path = regular(file?)?;
            let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
            let unix = text.replace("\r\n", "\n");
            fs::write(path, if unix == text { unix.replace('\n', "\r\n") } else { unix })
        }
        Kind::InvalidUtf8 => {
            File::options().append(true).open(regular(file?)?)?.write_all(b"caf\xe9 \xff\xfe tail\n")
        }
        Kind::NestedRepository => nested_repository(&tree.join(format!("nested-{}", word(rng))), rng),
        Kind::GitIgnore => ignore_file(tree, directory.ok(), ".gitignore", rng),
        Kind::IndexerIgnore => ignore_file(tree, directory.ok(), ".indexerignore", rng),
        Kind::Attributes => {
            let lines = [
                "*.md text eol=crlf",
                "*.txt text eol=lf",
                "lib/** linguist-vendored",
                "*.go linguist-generated",
            ];
            let line = rng.pick(&lines).copied().unwrap_or_default();
            let path = tree.join(".gitattributes");
            if rng.chance(40) { fs::remove_file(path) } else { fs::write(path, format!("{line}\n")) }
        }
        _ => Ok(()),
    }
}

/// Itself where a write to it would not block or go elsewhere: a FIFO, a link.
fn regular(path: PathBuf) -> io::Result<PathBuf> {
    if path.symlink_metadata()?.is_file() { Ok(path) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    if path.symlink_metadata().is_ok_and(|found| !found.is_file()) {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::write(path, bytes)
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to.parent().unwrap_or(to))?;
    fs::rename(from, to)
}

/// The way from a link at `link` to `target`, both inside `tree`: the same in every sandbox.
fn relative(tree: &Path, link: &Path, target: &Path) -> PathBuf {
    let inside = |path: &Path| path.strip_prefix(tree).unwrap_or(path).to_owned();
    let up = inside(link).components().count().saturating_sub(1);
    std::iter::repeat_n(PathBuf::from(".."), up).chain([inside(target)]).collect()
}

fn word(rng: &mut Rng) -> &'static str {
    rng.pick(WORDS).copied().unwrap_or("word")
}

fn file_name(rng: &mut Rng) -> String {
    let stem = rng.pick(STEMS).copied().unwrap_or("a");
    let extension = rng.pick(EXTENSIONS).copied().unwrap_or("rs");
    format!("{stem}.{extension}")
}

fn fresh_path(tree: &Path, rng: &mut Rng) -> PathBuf {
    tree.join(rng.pick(DIRECTORIES).copied().unwrap_or("")).join(file_name(rng))
}

fn flip_case(byte: &u8) -> u8 {
    if byte.is_ascii_uppercase() { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() }
}

/// Other bytes of the same number.
fn same_size(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let shift = 1 + rng.below(24) as u8;
    let rotate = |byte: &u8| match byte {
        b'a'..=b'z' => b'a' + (byte - b'a' + shift) % 26,
        other => *other,
    };
    bytes.iter().map(rotate).collect()
}

/// One of a few contents that come again and again, so that A, B, A and two files
/// with the same bytes are common.
fn pooled(which: usize) -> String {
    function(WORDS[which % WORDS.len()], WORDS[(which + 3) % WORDS.len()], which)
}

fn function(verb: &str, noun: &str, number: usize) -> String {
    format!(
        "// {verb} the {noun}, case {number}\nfn {verb}_{noun}_{number}(input: &str) -> usize {{\n    \
         let {noun} = input.len() + {number};\n    {noun}\n}}\n\n"
    )
}

fn content(rng: &mut Rng) -> String {
    if rng.chance(25) {
        return pooled(rng.below(6));
    }
    (0..1 + rng.below(6)).map(|_| function(word(rng), word(rng), rng.below(1000))).collect()
}

fn ignore_file(tree: &Path, directory: Option<PathBuf>, name: &str, rng: &mut Rng) -> io::Result<()> {
    let inside = if rng.chance(30) { directory.unwrap_or_else(|| tree.to_owned()) } else { tree.to_owned() };
    let path = inside.join(name);
    if rng.chance(40) {
        return fs::remove_file(path);
    }
    fs::write(path, patterns(rng))
}

/// One to three lines of gitignore syntax.
pub(super) fn patterns(rng: &mut Rng) -> String {
    (0..1 + rng.below(3)).map(|_| format!("{}\n", rng.pick(PATTERNS).copied().unwrap_or("*.txt"))).collect()
}

/// A repository of its own with one commit; git's own configuration is not read.
fn nested_repository(path: &Path, rng: &mut Rng) -> io::Result<()> {
    save(&path.join(file_name(rng)), content(rng).as_bytes())?;
    let commands: [&[&str]; 3] = [&["init", "-q"], &["add", "-A"], &["commit", "-q", "-m", "nested"]];
    for arguments in commands {
        Command::new("git")
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .current_dir(path)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env_remove("GIT_DIR")
            .env_remove("GIT_INDEX_FILE")
            .env_remove("GIT_WORK_TREE")
            .output()?;
    }
    Ok(())
}

/// Sets the modification time of every file below `tree` an hour back, as in a
/// worktree that was checked out before today. The change time cannot be set.
pub(super) fn age(tree: &Path) {
    let times = FileTimes::new().set_modified(SystemTime::now() - Duration::from_secs(3600));
    for path in list_files(tree) {
        drop(regular(path).and_then(|path| File::options().write(true).open(path)?.set_times(times)));
    }
}
