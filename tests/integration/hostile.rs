//! Hostile files, damaged state, refused and full disks: every run ends with a
//! documented exit code and a message or a reason, no thread panics, and afterwards
//! `once` and `verify` come to a clean index.
//!
//! `INDEXER_HOSTILE_FILES` sets how many files the crowded directory has (5,000).
//! What needs a mount or a refused read is left out, with a line on standard error,
//! where the machine does not permit it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{Answer, Sandbox, left_out};

fn init(sandbox: &Sandbox) -> PathBuf {
    sandbox.git(&sandbox.path(""), &["init", "-q", "repository"]);
    sandbox.path("repository")
}

fn write(tree: &Path, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    let path = tree.join(path);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(path, content).expect("a file");
}

/// A few real files, so that there is something to embed and to lose.
fn repository(sandbox: &Sandbox) -> PathBuf {
    let tree = init(sandbox);
    for file in ["src/path.rs", "src/skip.rs"] {
        let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("a file of this crate");
        write(&tree, file, text);
    }
    sandbox.git(&tree, &["add", "-A"]);
    sandbox.git(&tree, &["commit", "-q", "-m", "some files"]);
    tree
}

/// An error that says what to do: exit code 2, `error:` and one of `ways`.
#[track_caller]
fn refused(answer: Answer, ways: &[&str]) {
    let answer = answer.expect(2);
    assert!(answer.stderr.contains("error: "), "{answer:?}");
    assert!(ways.iter().any(|way| answer.stderr.contains(way)), "no way out: {answer:?}");
}

fn number(value: &Value, pointer: &str) -> u64 {
    let number = value.pointer(pointer).and_then(Value::as_u64);
    number.unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[test]
fn hostile_files_are_indexed_or_skipped_for_a_reason() {
    let sandbox = Sandbox::new();
    let tree = init(&sandbox);
    fs::File::create(tree.join("huge.rs")).and_then(|file| file.set_len(200 << 20)).expect("a sparse file");
    write(&tree, "lines.txt", "x\n".repeat(1_000_000));
    write(&tree, "more.txt", "xyz\n".repeat(1_000_000));
    for (extension, start) in
        [("rs", "fn f() { let x = "), ("go", "package a\nvar x = "), ("ts", "x = "), ("tsx", "x = ")]
            .into_iter()
            .chain([("js", "x = "), ("py", "x = ")])
    {
        for (name, bracket) in [("round", "(\n"), ("square", "[\n"), ("curly", "{\n")] {
            write(&tree, format!("{name}.{extension}"), format!("{start}{}", bracket.repeat(100_000)));
        }
    }
    write(&tree, "closed.js", format!("x = {}1{}\n", "(\n".repeat(50_000), ")\n".repeat(50_000)));
    write(&tree, "tags.tsx", format!("x = {}", "<a>\n".repeat(50_000)));
    write(&tree, "classes.ts", "class A { m() { return ".repeat(20_000));
    write(&tree, "invalid.rs", b"/// caf\xe9\nfn broken() { let s = \"\xff\xfe\"; }\n");
    let names: [&[u8]; 4] = [b"new\nline.rs", b"-rf.rs", b"caf\xe9.rs", b"--data-dir.rs"];
    for name in names {
        write(&tree, OsStr::from_bytes(name), "pub fn oddly_named() {}\n");
    }
    symlink("b", tree.join("a")).expect("a link");
    symlink("a", tree.join("b")).expect("a link");
    fs::create_dir(tree.join("directory")).expect("a directory");
    symlink("..", tree.join("directory/up")).expect("a link");
    // Git shows what is tracked, whatever became of it.
    for name in ["fifo.rs", "socket.rs", "device.rs"] {
        write(&tree, name, "fn f() {}\n");
    }
    sandbox.git(&tree, &["add", "fifo.rs", "socket.rs", "device.rs"]);
    sandbox.git(&tree, &["commit", "-q", "-m", "files"]);
    for name in ["fifo.rs", "socket.rs", "device.rs"] {
        fs::remove_file(tree.join(name)).expect("a file");
    }
    let made = Command::new("mkfifo").arg(tree.join("fifo.rs")).status().expect("mkfifo runs");
    assert!(made.success());
    let _socket = std::os::unix::net::UnixListener::bind(tree.join("socket.rs")).expect("a socket");
    let device = Command::new("mknod").arg(tree.join("device.rs")).args(["c", "1", "5"]).output();
    if !device.is_ok_and(|output| output.status.success()) {
        left_out("a device file", "mknod is not permitted");
        Command::new("mkfifo").arg(tree.join("device.rs")).status().expect("mkfifo runs");
    }

    let outcome = sandbox.indexer(&tree, &["once", "--lexical-only", "--json"]).expect(0).json();
    for (reason, count) in [("special", 3), ("symlink", 3), ("too_large", 2)] {
        assert_eq!(number(&outcome, &format!("/files/skipped/{reason}")), count, "{reason}: {outcome}");
    }
    for (path, reason) in [
        ("huge.rs", "too_large"),
        ("more.txt", "too_large"),
        ("a", "symlink"),
        ("directory/up", "symlink"),
        ("fifo.rs", "special"),
        ("socket.rs", "special"),
        ("device.rs", "special"),
    ] {
        let answer = sandbox.indexer(&tree, &["explain", path]).expect(1);
        let text = String::from_utf8_lossy(&answer.stdout).into_owned();
        assert!(text.contains(reason), "{path}: {text}");
    }
    for name in names {
        let path = tree.join(OsStr::from_bytes(name));
        sandbox.indexer(&tree, &["explain".as_ref(), path.as_os_str()]).expect(0);
    }
    let found = sandbox.indexer(&tree, &["search", "--mode", "lexical", "--json", "oddly_named"]).expect(0);
    assert!(String::from_utf8_lossy(&found.stdout).contains("oddly_named"), "{found:?}");
    sandbox.indexer(&tree, &["search", "--mode", "lexical", "broken"]).expect(0);
    sandbox.indexer(&tree, &["verify"]).expect(0);
}

#[test]
fn a_crowded_directory_is_indexed_whole() {
    let count: u64 = match std::env::var("INDEXER_HOSTILE_FILES") {
        Ok(text) => text.parse().expect("INDEXER_HOSTILE_FILES is a number"),
        Err(_) => 5_000,
    };
    let sandbox = Sandbox::new();
    let tree = init(&sandbox);
    for i in 0..count {
        write(&tree, format!("many/f{i}.rs"), format!("pub fn number_{i}() {{}}\n"));
    }
    let outcome = sandbox.indexer(&tree, &["once", "--lexical-only", "--json"]).expect(0).json();
    assert_eq!(number(&outcome, "/files/listed"), count);
    assert_eq!(number(&outcome, "/chunks/total"), count);
    sandbox.indexer(&tree, &["verify"]).expect(0);
    fs::remove_dir_all(tree.join("many")).expect("a directory");
    let outcome = sandbox.indexer(&tree, &["once", "--lexical-only", "--json"]).expect(0).json();
    assert_eq!(number(&outcome, "/files/removed"), count);
    assert_eq!(number(&outcome, "/chunks/total"), 0);
}

/// The program without the right to read what its permissions forbid, if this can be had.
fn without_privilege(sandbox: &Sandbox, tree: &Path, args: &[&str]) -> Option<Command> {
    let plain = sandbox.indexer_command(tree, &sandbox.data_dir(), args);
    let probe = tree.join("secret.rs");
    if fs::read(&probe).is_err() {
        return Some(plain);
    }
    let drop = ["--bounding-set", "-dac_override,-dac_read_search"];
    let refused = Command::new("setpriv").args(drop).arg("cat").arg(&probe).output().ok()?;
    // `cat` answers 1; setpriv itself, where it may not, prints its own name.
    if refused.status.success() || !String::from_utf8_lossy(&refused.stderr).starts_with("cat:") {
        return None;
    }
    let mut command = sandbox.command("setpriv", tree);
    command.args(drop).arg(plain.get_program()).args(plain.get_args());
    Some(command)
}

#[test]
fn an_unreadable_file_is_skipped_and_an_unreadable_directory_loses_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    write(&tree, "secret.rs", "fn secret() {}\n");
    write(&tree, "closed/inner.rs", "fn inner() {}\n");
    sandbox.indexer(&tree, &["once", "--lexical-only"]).expect(0);
    let mode = |path: &str, mode| {
        fs::set_permissions(tree.join(path), fs::Permissions::from_mode(mode)).expect("the owner's right");
    };
    mode("secret.rs", 0);
    mode("closed", 0);
    let Some(mut once) = without_privilege(&sandbox, &tree, &["once", "--lexical-only", "--json"]) else {
        mode("closed", 0o755);
        return left_out("an unreadable file", "everything is readable here, and setpriv cannot change it");
    };
    let outcome = Answer::from(once.output().expect("it runs"));
    let explained = without_privilege(&sandbox, &tree, &["explain", "secret.rs"])
        .map(|mut explain| Answer::from(explain.output().expect("it runs")));
    mode("closed", 0o755);
    mode("secret.rs", 0o644);
    let outcome = outcome.expect(0).json();
    assert_eq!(number(&outcome, "/files/skipped/unreadable"), 1, "{outcome}");
    assert_eq!(number(&outcome, "/unreadable_directories"), 1, "{outcome}");
    assert_eq!(number(&outcome, "/files/removed"), 0, "{outcome}");
    let explained = explained.expect("possible a moment ago").expect(1);
    assert!(String::from_utf8_lossy(&explained.stdout).contains("permissions"), "{explained:?}");
    sandbox.indexer(&tree, &["once", "--lexical-only"]).expect(0);
    sandbox.indexer(&tree, &["search", "--mode", "lexical", "secret"]).expect(0);
    sandbox.indexer(&tree, &["verify"]).expect(0);
}

/// All files below `dir`.
fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { out.extend(files_below(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}

/// Each way to damage a file.
const DAMAGES: [&str; 4] = ["flipped", "truncated", "emptied", "deleted"];

fn damage(path: &Path, how: &str) {
    let mut bytes = fs::read(path).expect("a file");
    match how {
        "deleted" => return fs::remove_file(path).expect("a file"),
        "flipped" => {
            let middle = bytes.len() / 2;
            bytes.get_mut(middle).into_iter().for_each(|byte| *byte ^= 0x40);
        }
        "truncated" => bytes.truncate(bytes.len() / 2),
        _ => bytes.clear(),
    }
    fs::write(path, bytes).expect("a file");
}

/// Whether the file holds documents; in its middle and at its end are their texts.
fn is_segment(file: &Path) -> bool {
    file.file_stem().is_some_and(|stem| stem == "segment")
}

#[test]
fn every_damaged_file_of_an_index_is_noticed_and_made_anew_without_embedding() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let good = sandbox.data_dir();
    sandbox.indexer(&tree, &["once"]).expect(0);
    let expected = sandbox.indexer(&tree, &["dump"]).expect(0).stdout;
    let bad = sandbox.path("damaged");
    let files: Vec<PathBuf> = (files_below(&good).iter())
        .map(|file| file.strip_prefix(&good).expect("below it").to_owned())
        .filter(|file| !file.starts_with("locks"))
        .collect();
    assert!(files.len() >= 6, "{files:?}");
    for (file, how) in files.iter().flat_map(|file| DAMAGES.map(|how| (file, how))) {
        for each in files_below(&good) {
            let name = each.strip_prefix(&good).expect("below it").to_owned();
            write(&bad, name, fs::read(&each).expect("a file"));
        }
        damage(&bad.join(file), how);
        let run = |args: &[&str]| sandbox.indexer_in(&tree, &bad, args);
        let case = format!("{} {how}", file.display());
        let is_cache = file.starts_with("cache");
        let is_lock = file.ends_with("writer.lock");
        let noticed = run(&["verify"]);
        assert!(!noticed.stderr.contains("panicked at"), "{case}: {noticed:?}");
        if is_cache || is_lock {
            assert_eq!(noticed.code, Some(0), "{case}: {noticed:?}");
        } else {
            assert_eq!(noticed.code, Some(1), "{case}: {noticed:?}");
            let text = String::from_utf8_lossy(&noticed.stdout).into_owned();
            assert!(text.contains("damaged\t") && text.contains("verify --repair"), "{case}: {text}");
        }
        let searched = run(&["search", "--mode", "lexical", "RepoPath"]);
        assert!(!searched.stderr.contains("panicked at"), "{case}: {searched:?}");
        assert!(searched.code == Some(0) || searched.stderr.contains("once --full"), "{case}: {searched:?}");
        // A plain run notices all but the stored texts, which it has no need to read.
        let stored_texts = is_segment(file) && how == "flipped";
        let args: &[&str] = if stored_texts { &["once", "--full", "--json"] } else { &["once", "--json"] };
        let answer = run(args);
        assert_eq!(answer.code, Some(0), "{case}: {answer:?}");
        assert!(!answer.stderr.contains("panicked at"), "{case}: {answer:?}");
        let outcome = answer.json();
        assert_eq!(number(&outcome, "/vectors/text/embedded"), 0, "{case}: {outcome}");
        assert_eq!(number(&outcome, "/vectors/text/pending"), 0, "{case}: {outcome}");
        let verified = run(&["verify"]);
        assert_eq!(verified.code, Some(0), "{case}: {verified:?}");
        assert_eq!(run(&["dump"]).stdout, expected, "{case}");
        fs::remove_dir_all(&bad).expect("a directory");
    }
}

#[test]
fn verify_repairs_what_it_cannot_read() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    sandbox.indexer(&tree, &["once"]).expect(0);
    let files = files_below(&sandbox.data_dir());
    damage(files.iter().find(|file| is_segment(file)).expect("a segment"), "flipped");
    sandbox.indexer(&tree, &["verify"]).expect(1);
    sandbox.indexer(&tree, &["verify", "--repair"]).expect(0);
    sandbox.indexer(&tree, &["verify"]).expect(0);
}

#[test]
fn an_index_of_a_newer_version_is_discarded_on_demand_only() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    sandbox.indexer(&tree, &["once"]).expect(0);
    let schema = files_below(&sandbox.data_dir()).into_iter().find(|file| file.ends_with("schema.json"));
    let schema = schema.expect("a schema");
    let text = fs::read_to_string(&schema).expect("a schema");
    let json = text.lines().next().expect("a line").replacen("\"format\":", "\"format\":900", 1);
    fs::write(&schema, format!("{json}\n{:08x}\n", crc32fast::hash(json.as_bytes()))).expect("a schema");
    refused(sandbox.indexer(&tree, &["once"]), &["upgrade indexer"]);
    refused(sandbox.indexer(&tree, &["search", "path"]), &["once --full"]);
    let outcome = sandbox.indexer(&tree, &["once", "--full", "--json"]).expect(0).json();
    assert_eq!(number(&outcome, "/vectors/text/embedded"), 0, "{outcome}");
    sandbox.indexer(&tree, &["verify"]).expect(0);
}

#[test]
fn two_runs_at_a_time_end_in_one_index() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let start = || {
        let mut command = sandbox.indexer_command(&tree, &sandbox.data_dir(), &["once", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program runs")
    };
    let runs: Vec<_> = (0..4).map(|_| start()).collect();
    let mut done = 0;
    for run in runs {
        let answer = Answer::from(run.wait_with_output().expect("a child"));
        match answer.code {
            Some(0) => done += 1,
            _ => refused(answer, &["wait for it to end"]),
        }
    }
    assert!(done > 0);
    let outcome = sandbox.indexer(&tree, &["once", "--json"]).expect(0).json();
    assert_eq!(number(&outcome, "/vectors/text/embedded"), 0, "{outcome}");
    sandbox.indexer(&tree, &["verify"]).expect(0);
}

#[test]
fn a_damaged_git_directory_is_an_error_and_the_index_stays() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    sandbox.indexer(&tree, &["once"]).expect(0);
    let expected = sandbox.indexer(&tree, &["dump"]).expect(0).stdout;
    for file in ["HEAD", "index", "config", "refs/heads/main"] {
        for how in ["flipped", "truncated", "emptied"] {
            let path = tree.join(".git").join(file);
            let whole = fs::read(&path).expect("a file of git");
            damage(&path, how);
            let answer = sandbox.indexer(&tree, &["once", "--json"]);
            // What git itself reads without complaint (a HEAD that names another branch, a
            // configuration that lost lines) must not change which files are indexed.
            let dumped = (answer.code == Some(0)).then(|| sandbox.indexer(&tree, &["dump"]));
            fs::write(&path, whole).expect("a file of git");
            match dumped {
                Some(dumped) => {
                    assert!(file != "index" || how == "emptied", "{file} {how}: {answer:?}");
                    assert_eq!(dumped.expect(0).stdout, expected, "{file} {how}");
                }
                None => refused(answer, &["git", "HEAD", "repository"]),
            }
            sandbox.indexer(&tree, &["once"]).expect(0);
            assert_eq!(sandbox.indexer(&tree, &["dump"]).expect(0).stdout, expected, "{file} {how}");
        }
    }
    fs::rename(tree.join(".git"), tree.join("git-away")).expect("a directory");
    refused(sandbox.indexer(&tree, &["once"]), &["git"]);
    fs::rename(tree.join("git-away"), tree.join(".git")).expect("a directory");
    sandbox.indexer(&tree, &["verify"]).expect(0);
}

#[test]
fn a_data_directory_that_is_a_file_is_an_error() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let file = sandbox.path("file");
    fs::write(&file, "mine").expect("a file");
    for args in [&["once"][..], &["search", "path"], &["verify"], &["status"]] {
        refused(sandbox.indexer_in(&tree, &file, args), &["another --data-dir"]);
    }
    assert_eq!(fs::read(&file).expect("a file"), b"mine");
}

/// Runs a shell script where it may mount; `step NAME ARGUMENTS` runs the program and
/// keeps its answer. `None` where mounts are not permitted.
fn with_mounts(sandbox: &Sandbox, tree: &Path, script: &str) -> Option<impl Fn(&str) -> Answer> {
    let (data, out) = (sandbox.data_dir(), sandbox.path("answers"));
    fs::create_dir_all(&out).expect("a directory");
    let mut command = sandbox.command("unshare", tree);
    command.args(["--mount", "--map-root-user", "sh", "-euc"]);
    command.arg(format!(
        "mount -t tmpfs -o size=1m tmpfs \"$OUT\" && umount \"$OUT\" || exit 77\n\
         step() {{ name=$1; shift; code=0\n\
         \"$INDEXER\" \"$@\" --data-dir \"$DATA\" >\"$OUT/$name.out\" 2>\"$OUT/$name.err\" || code=$?\n\
         echo $code >\"$OUT/$name.code\"; }}\n{script}"
    ));
    command.env("DATA", &data).env("OUT", &out).env("INDEXER", env!("CARGO_BIN_EXE_indexer"));
    let answer = command.output().ok()?;
    if answer.status.code() == Some(77) || String::from_utf8_lossy(&answer.stderr).starts_with("unshare:") {
        return None;
    }
    Answer::from(answer).expect(0);
    Some(move |name: &str| {
        let read = |extension: &str| fs::read(out.join(format!("{name}.{extension}"))).expect("an answer");
        let code = String::from_utf8_lossy(&read("code")).trim().parse().ok();
        Answer { code, stdout: read("out"), stderr: String::from_utf8_lossy(&read("err")).into_owned() }
    })
}

#[test]
fn a_read_only_data_directory_is_read_and_refused_to_be_written() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    sandbox.indexer(&tree, &["once"]).expect(0);
    let script = "mount --bind \"$DATA\" \"$DATA\"; mount -o remount,bind,ro \"$DATA\"\n\
        step search search backoff\nstep lexical search --mode lexical RepoPath\n\
        step verify verify\nstep status status\nstep once once\nstep full once --full\n\
        step repair verify --repair\n";
    let Some(answer) = with_mounts(&sandbox, &tree, script) else {
        return left_out("a read-only data directory", "mounts are not permitted");
    };
    for name in ["lexical", "verify", "status", "repair"] {
        answer(name).expect(0);
    }
    assert!(matches!(answer("search").code, Some(0 | 1)), "{:?}", answer("search"));
    for name in ["once", "full"] {
        refused(answer(name), &["another --data-dir"]);
    }
    sandbox.indexer(&tree, &["once"]).expect(0);
    sandbox.indexer(&tree, &["verify"]).expect(0);
}

#[test]
fn a_full_disk_is_an_error_and_with_more_room_the_next_run_ends_it() {
    let sandbox = Sandbox::new();
    let tree = repository(&sandbox);
    let undisturbed = sandbox.path("undisturbed");
    sandbox.indexer_in(&tree, &undisturbed, &["once"]).expect(0);
    let expected = sandbox.indexer_in(&tree, &undisturbed, &["dump"]).expect(0).stdout;
    let mut refusals = 0;
    let sizes = [4, 16, 32, 48, 64, 96, 128, 192, 256, 320];
    for size in sizes {
        let script = format!(
            "mount -t tmpfs -o size={size}k tmpfs \"$DATA\"\n\
             step small once --json\nstep between status --json\nstep again once --json\n\
             mount -o remount,size=64m \"$DATA\"\n\
             step room once --json\nstep verify verify\nstep dump dump\nstep last once --json\n"
        );
        let Some(answer) = with_mounts(&sandbox, &tree, &script) else {
            return left_out("a full disk", "mounts are not permitted");
        };
        for name in ["small", "again"] {
            let answer = answer(name);
            if answer.code == Some(0) {
                continue;
            }
            refusals += 1;
            refused(answer, &["no space left", "No space left"]);
        }
        assert!(!answer("between").stderr.contains("panicked at"), "{:?}", answer("between"));
        let outcome = answer("room").expect(0).json();
        assert_eq!(number(&outcome, "/vectors/text/pending"), 0, "{outcome}");
        answer("verify").expect(0);
        assert_eq!(answer("dump").expect(0).stdout, expected, "{size} KiB");
        let outcome = answer("last").expect(0).json();
        assert_eq!(number(&outcome, "/vectors/text/embedded"), 0, "{outcome}");
    }
    assert!(refusals >= sizes.len(), "the disk was hardly ever full: {refusals}");
}
