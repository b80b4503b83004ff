//! Who may start a daemon, who may ask it, and what becomes of a configuration that it
//! reads again.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use contextd_indexer::daemon::protocol::{Reply, Request};
use contextd_indexer::daemon::socket;
use rustix::process::{Signal, geteuid};

use super::{Daemon, add, configure, find, repository, source, write};
use crate::harness::{Sandbox, left_out};

/// Tells a copy of this test where the socket is.
const SOCKET: &str = "INDEXER_TEST_SOCKET";

#[test]
fn a_second_daemon_is_refused_and_told_of_the_first() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 1);
    let first = Daemon::start(&sandbox);
    let second = sandbox.indexer(&tree, &["watch"]).expect(2);
    assert!(second.stderr.contains(&format!("process {}", first.pid())), "{second:?}");
    assert!(second.stderr.contains("--data-dir"), "no way out: {second:?}");
    // Nothing of the first was touched.
    first.status();
    let pid = first.status().daemon.expect("a daemon").pid;
    assert_eq!(pid, first.pid());
    first.stop();
    assert!(!socket::path(&sandbox.data_dir()).exists(), "its socket goes with it");
}

#[test]
fn what_a_dead_daemon_left_is_in_nobodys_way() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let tree = repository(&sandbox, "repo", 1);
    add(&sandbox, &tree);
    let first = Daemon::start(&sandbox);
    first.exact(&tree);
    first.kill();
    let data_dir = sandbox.data_dir();
    assert!(socket::path(&data_dir).exists(), "it was killed");
    // Nobody listens: commands do without.
    sandbox.indexer(&tree, &["search", "--mode", "lexical", "part_0"]).expect(0);
    sandbox.indexer(&tree, &["once"]).expect(0);
    let again = Daemon::start(&sandbox);
    again.exact(&tree);
    again.kill();
    // Another process has its number now, or a socket of another program lies there.
    fs::write(socket::dir(&data_dir).join("daemon.lock"), format!("{}\n", std::process::id()))
        .expect("written");
    fs::remove_file(socket::path(&data_dir)).expect("removed");
    drop(UnixListener::bind(socket::path(&data_dir)).expect("a socket"));
    let again = Daemon::start(&sandbox);
    again.exact(&tree);
    again.stop();
}

#[test]
fn another_user_is_refused_and_told() {
    // A copy of this test, run as that user: says what the daemon says.
    if let Some(path) = std::env::var_os(SOCKET) {
        let mut line = String::new();
        let stream = UnixStream::connect(path).expect("connects");
        BufReader::new(stream).read_line(&mut line).expect("an answer");
        std::io::stdout().write_all(line.as_bytes()).expect("written");
        return;
    }
    if !geteuid().is_root() {
        return left_out("another user at the socket", "only root can be another user");
    }
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    repository(&sandbox, "repo", 1);
    let daemon = Daemon::start(&sandbox);
    let data_dir = sandbox.data_dir();
    let place = socket::path(&data_dir);
    assert_eq!(mode(&socket::dir(&data_dir)), 0o700);
    assert_eq!(mode(&place), 0o600);
    // Were the modes wider than they are, it is still who asks that counts.
    for dir in [&sandbox.path(""), &data_dir, &socket::dir(&data_dir)] {
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("changed");
    }
    fs::set_permissions(&place, fs::Permissions::from_mode(0o666)).expect("changed");
    let copy = sandbox.path("copy-of-this-test");
    fs::copy(std::env::current_exe().expect("this test"), &copy).expect("copied");
    let mut command = sandbox.command("setpriv", &sandbox.path(""));
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
    let own_name = "daemon::doors::another_user_is_refused_and_told";
    let told = command.args(["--exact", own_name, "--nocapture"]).env(SOCKET, &place).output();
    let told = told.expect("setpriv runs");
    let text = String::from_utf8_lossy(&told.stdout);
    let refusal = text.contains("serves the user with id 0 alone") && text.contains("indexer watch");
    assert!(refusal, "{text}{}", String::from_utf8_lossy(&told.stderr));
    daemon.await_log("another user was refused");
    daemon.stop();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn a_repository_of_another_owner_is_a_problem_of_its_own() {
    if !geteuid().is_root() {
        return left_out("a repository of another owner", "only root can give files away");
    }
    let sandbox = Sandbox::new();
    configure(&sandbox, "");
    let (own, given) = (repository(&sandbox, "own", 1), repository(&sandbox, "given", 2));
    for tree in [&own, &given] {
        add(&sandbox, tree);
    }
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&given);
    let give_to = |user: &str| {
        let answer = sandbox.command("chown", &given).args(["-R", user, "."]).output();
        assert!(answer.expect("chown runs").status.success());
    };
    give_to("65534:65534");
    write(&given, "src/part_0.rs", &source(9));
    let problem = daemon.wait_for("the owner is a problem", |status| find(status, &given)?.problem.clone());
    assert!(problem.failure.message.contains("safe.directory"), "{problem:?}");
    write(&own, "src/part_0.rs", &source(8));
    daemon.exact(&own);
    give_to("0:0");
    daemon.exact(&given);
    daemon.stop();
}

#[test]
fn a_configuration_is_read_again_and_a_wrong_one_changes_nothing() {
    let sandbox = Sandbox::new();
    configure(&sandbox, "poll_seconds = 500\n");
    let tree = repository(&sandbox, "repo", 2);
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&tree);
    let poll = |status: &contextd_indexer::wire::Status| {
        Some(find(status, &tree)?.freshness.as_ref()?.watch.as_ref()?.poll_seconds)
    };
    assert_eq!(poll(&daemon.status()), Some(500));

    configure(&sandbox, "poll_seconds = \"often\"\n");
    daemon.signal(Signal::HUP);
    daemon.await_log("poll_seconds");
    assert_eq!(poll(&daemon.status()), Some(500));
    let refused = sandbox.indexer(&tree, &["reload"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("poll_seconds"), "{refused:?}");

    configure(&sandbox, "poll_seconds = 400\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for("the new one holds", |status| poll(status).filter(|seconds| *seconds == 400));
    daemon.exact(&tree);
    write(&tree, "src/part_0.rs", &source(7));
    daemon.exact(&tree);
    daemon.stop();
}

#[test]
fn the_log_level_changes_while_it_runs() {
    let sandbox = Sandbox::new();
    let configured = |filter: &str| configure(&sandbox, &format!("[log]\nfilter = \"{filter}\"\n"));
    configured("error");
    let tree = repository(&sandbox, "repo", 2);
    add(&sandbox, &tree);
    let daemon = Daemon::start(&sandbox);
    daemon.exact(&tree);
    assert_eq!(daemon.log(), "", "no error happened");

    configured("contextd_indexer=debug");
    daemon.signal(Signal::HUP);
    let edit = |number| write(&tree, "src/part_0.rs", &source(number));
    let speaks = || daemon.log().contains("parsed=1");
    let mut number = 20;
    daemon.wait_for("it logs runs", |_| {
        // What was edited before the level changed is not logged.
        number += 1;
        edit(number);
        speaks().then_some(())
    });
    sandbox.indexer(&tree, &["reload", "--log", "error"]).expect(0);
    daemon.exact(&tree);
    let before = daemon.log();
    edit(19);
    daemon.exact(&tree);
    assert_eq!(daemon.log(), before, "silent again");
    let wrong = sandbox.indexer(&tree, &["reload", "--log", "contextd_indexer=loud"]).expect(2);
    assert!(wrong.stderr.contains("loud"), "{wrong:?}");
    assert!(matches!(daemon.ask(Request::Reload { log: None }), Reply::Done));
    daemon.stop();
}
