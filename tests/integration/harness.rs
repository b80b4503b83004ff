//! A hermetic home for one test: git and the built program, run where neither the
//! user's configuration nor the surrounding environment reaches them.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A temporary directory with a home, a data directory and room for repositories.
/// All of it goes when this is dropped; set `INDEXER_KEEP=1` to keep it.
pub(crate) struct Sandbox {
    dir: TempDir,
    root: PathBuf,
    model_dir: PathBuf,
}

/// What the program answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Exit code; `None` where a signal ended it.
    pub(crate) code: Option<i32>,
    /// Standard output, as bytes: dumped paths need not be UTF-8 inside JSON strings.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, for messages.
    pub(crate) stderr: String,
}

impl Answer {
    /// Every line of standard output as JSON.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.stdout
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| match serde_json::from_slice(line) {
                Ok(value) => value,
                Err(error) => panic!("not JSON ({error}): {:?}\n{self:?}", String::from_utf8_lossy(line)),
            })
            .collect()
    }

    /// The last JSON value of standard output: the outcome of a run.
    pub(crate) fn json(&self) -> Value {
        match self.json_lines().pop() {
            Some(value) => value,
            None => panic!("no JSON on standard output: {self:?}"),
        }
    }

    /// Itself, if it ended with `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Answer {
        assert_eq!(
            self.code,
            Some(code),
            "exit code; stderr:\n{}\nstdout:\n{}",
            self.stderr,
            String::from_utf8_lossy(&self.stdout)
        );
        // 101 is Rust's code for a panic: caught above, but a panic on another thread is not.
        assert!(!self.stderr.contains("panicked at"), "a thread panicked:\n{}", self.stderr);
        self
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Answer {
        Answer {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Sandbox {
    /// An empty sandbox.
    pub(crate) fn new() -> Sandbox {
        let mut dir = tempfile::Builder::new().prefix("indexer-").tempdir().expect("a temporary directory");
        dir.disable_cleanup(std::env::var_os("INDEXER_KEEP").is_some());
        // Canonical: git prints canonical paths, and some systems link their temporary directory.
        let root = dir.path().canonicalize().expect("the directory that was just made");
        for name in ["home", "data"] {
            std::fs::create_dir(root.join(name)).expect("an empty directory");
        }
        Sandbox { dir, root, model_dir: model_dir() }
    }

    /// A place in the sandbox.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// The data directory that [`Sandbox::indexer`] uses.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Whether it outlives the test.
    pub(crate) fn kept(&self) -> Option<&Path> {
        std::env::var_os("INDEXER_KEEP").map(|_| self.dir.path())
    }

    /// A command whose environment holds nothing of the caller's but `PATH` and the
    /// temporary directory.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>, cwd: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().current_dir(cwd).stdin(Stdio::null());
        for name in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("XDG_DATA_HOME", self.path("home/.local/share"))
            .env("XDG_CACHE_HOME", self.path("home/.cache"))
            .env("XDG_STATE_HOME", self.path("home/.local/state"))
            .env("XDG_RUNTIME_DIR", self.path("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            // Tests run side by side, and those of the door take a free port.
            .env("INDEXER_HTTP_LISTEN", "off")
            .env("INDEXER_MODEL_DIR", &self.model_dir);
        command
    }

    /// A git command with a fixed author, date and configuration, so that the same
    /// commands make the same commits.
    pub(crate) fn git_command<S: AsRef<OsStr>>(&self, cwd: &Path, args: &[S]) -> Command {
        let mut command = self.command("git", cwd);
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Ada")
                .env(format!("GIT_{role}_EMAIL"), "ada@example.org")
                .env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
        }
        command
            .env("GIT_EDITOR", "true")
            .env("GIT_SEQUENCE_EDITOR", "true")
            .env("GIT_TERMINAL_PROMPT", "0")
            .args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"])
            .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "advice.detachedHead=false"])
            .args(args);
        command
    }

    /// Runs git; whether it succeeded, and what it printed. A refused command is an answer.
    pub(crate) fn try_git<S: AsRef<OsStr>>(&self, cwd: &Path, args: &[S]) -> Answer {
        self.git_command(cwd, args).output().expect("git runs").into()
    }

    /// Runs git, which must succeed; its standard output, trimmed.
    #[track_caller]
    pub(crate) fn git<S: AsRef<OsStr>>(&self, cwd: &Path, args: &[S]) -> String {
        let answer = self.try_git(cwd, args).expect(0);
        String::from_utf8_lossy(&answer.stdout).trim_end().to_owned()
    }

    /// The built program with its data directory, ready for more arguments.
    pub(crate) fn indexer_command<S: AsRef<OsStr>>(
        &self,
        cwd: &Path,
        data_dir: &Path,
        args: &[S],
    ) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_indexer"), cwd);
        command.args(args).arg("--data-dir").arg(data_dir);
        command
    }

    /// Runs the program in `cwd` with the sandbox's own data directory.
    pub(crate) fn indexer<S: AsRef<OsStr>>(&self, cwd: &Path, args: &[S]) -> Answer {
        self.indexer_in(cwd, &self.data_dir(), args)
    }

    /// Runs the program in `cwd` with another data directory.
    pub(crate) fn indexer_in<S: AsRef<OsStr>>(&self, cwd: &Path, data_dir: &Path, args: &[S]) -> Answer {
        self.indexer_command(cwd, data_dir, args).output().expect("the program runs").into()
    }
}

/// Where the embedding model is installed: `INDEXER_MODEL_DIR`, or the user's cache
/// as the program itself would find it. A sandbox has a home of its own, so that it
/// must be told.
fn model_dir() -> PathBuf {
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("INDEXER_MODEL_DIR").unwrap_or_else(|| {
        from("XDG_CACHE_HOME")
            .or_else(|| from("HOME").map(|home| home.join(".cache")))
            .expect("HOME is set")
            .join("contextd-indexer/models")
    })
}

/// Splits NUL-separated output of git into paths.
pub(crate) fn nul_separated(bytes: &[u8]) -> impl Iterator<Item = &Path> {
    bytes
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| Path::new(OsStr::from_bytes(path)))
}

/// Says that a test, or a part of one, was not run here, and why.
pub(crate) fn left_out(what: &str, why: &str) {
    say(&format!("LEFT OUT: {what}: {why}"));
}

/// Says what passed, and how much of it. Not captured, unlike `eprintln`.
pub(crate) fn say(text: &str) {
    // Nobody listens: no reason to fail.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// What an environment variable sets, for longer runs than usual.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")),
        Err(_) => default,
    }
}
