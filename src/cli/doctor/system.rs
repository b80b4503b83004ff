//! What the system gives: git, watches.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::wire::Check;

/// The first git that knows reftables; everything else is read without it.
const GIT_WITH_REFTABLE: (u32, u32) = (2, 45);

pub(super) fn git() -> Check {
    const NAME: &str = "git";
    let remedy = "install git 2.45 or later if a repository of yours keeps its refs in reftables";
    let printed = Command::new("git").arg("--version").stdin(Stdio::null()).output();
    let printed = match printed {
        Ok(output) => String::from_utf8_lossy(&output.stdout).trim().to_owned(),
        Err(error) => return Check::warning(NAME, format!("cannot be run: {error}")).remedy(remedy),
    };
    match version(&printed) {
        Some(version) if version >= GIT_WITH_REFTABLE => Check::ok(NAME, printed),
        Some(_) => Check::warning(NAME, format!("{printed}, which reads no reftables")).remedy(remedy),
        None => Check::warning(NAME, format!("`git --version` printed {printed:?}")).remedy(remedy),
    }
}

/// Major and minor of `git version 2.47.3 (Apple Git-1)`.
fn version(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.strip_prefix("git version ")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Watches left below which a large worktree can no longer be watched whole.
const FEW_WATCHES: u64 = 16_384;

/// How many watches there may be, and how many this user's processes hold.
pub(super) fn inotify() -> Check {
    const NAME: &str = "inotify";
    if !cfg!(target_os = "linux") {
        return Check::ok(NAME, "not of this system");
    }
    let limit = |name: &str| -> Option<u64> {
        fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
    };
    let (Some(watches), Some(instances)) = (limit("max_user_watches"), limit("max_user_instances")) else {
        return Check::warning(NAME, "its limits cannot be read, so it may be missing")
            .remedy("set watch.events = false, so that worktrees are polled");
    };
    let used = inotify_use(Path::new("/proc"), rustix::process::geteuid().as_raw());
    let found = format!(
        "{} of {watches} watches and {} of {instances} instances are in use",
        used.watches, used.instances
    );
    let raise = |key: &str, least: u64| {
        format!(
            "echo fs.inotify.{key}={least} | sudo tee /etc/sysctl.d/60-inotify.conf && sudo sysctl --system"
        )
    };
    if used.instances >= instances {
        Check::failure(NAME, found).remedy(raise("max_user_instances", instances * 2))
    } else if used.watches + FEW_WATCHES > watches {
        Check::warning(NAME, found).remedy(raise("max_user_watches", (watches * 2).max(524_288)))
    } else {
        Check::ok(NAME, found)
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct InotifyUse {
    instances: u64,
    watches: u64,
}

/// What the processes of a user hold, as `proc` shows it. Processes that end meanwhile
/// hold nothing.
fn inotify_use(proc: &Path, uid: u32) -> InotifyUse {
    let mut used = InotifyUse::default();
    let processes = fs::read_dir(proc).into_iter().flatten().flatten();
    for process in processes.filter(|process| process.metadata().is_ok_and(|of| of.uid() == uid)) {
        let descriptors = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        for descriptor in descriptors {
            if fs::read_link(descriptor.path()).is_ok_and(|target| target == Path::new("anon_inode:inotify"))
            {
                let info = process.path().join("fdinfo").join(descriptor.file_name());
                let info = fs::read_to_string(info).unwrap_or_default();
                used.instances += 1;
                used.watches += info.lines().filter(|line| line.starts_with("inotify wd:")).count() as u64;
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_git() {
        for (printed, expected) in [
            ("git version 2.47.3", Some((2, 47))),
            ("git version 2.39.5 (Apple Git-154)", Some((2, 39))),
            ("git version 2.51.0.windows.1", Some((2, 51))),
            ("git version unknown", None),
            ("", None),
        ] {
            assert_eq!(version(printed), expected, "{printed}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn watches_of_this_process_are_counted() {
        use notify::{RecursiveMode, Watcher, recommended_watcher};
        let dir = tempfile::tempdir().unwrap();
        // This process alone, as if there were no other.
        let proc = dir.path().join("proc");
        fs::create_dir(&proc).unwrap();
        let own = format!("/proc/{}", std::process::id());
        std::os::unix::fs::symlink(&own, proc.join("1")).unwrap();
        let uid = fs::metadata(&own).unwrap().uid();
        let before = inotify_use(&proc, uid);
        let mut watcher = recommended_watcher(|_| {}).unwrap();
        watcher.watch(dir.path(), RecursiveMode::NonRecursive).unwrap();
        watcher.watch(&proc, RecursiveMode::NonRecursive).unwrap();
        let after = inotify_use(&proc, uid);
        // Other tests may be watching as well.
        assert!(after.instances > before.instances && after.watches >= 2, "{before:?} {after:?}");
        assert_eq!(inotify_use(&proc, uid + 1), InotifyUse::default());
    }
}
