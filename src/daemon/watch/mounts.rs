//! Which file systems changes are made in from elsewhere: on those, events of this
//! machine tell half of it, and a worktree is polled instead.
//!
//! Says nothing where the mounts cannot be read (systems other than Linux).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use bstr::ByteSlice;

/// Kernel file systems shared with other machines, or with the host of a virtual one.
/// Those of the families `nfs…` and `smb…` are not listed.
const REMOTE: &[&str] = &[
    "9p",
    "acfs",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "drvfs",
    "fakeowner",
    "gfs",
    "gfs2",
    "glusterfs",
    "gpfs",
    "lustre",
    "ncp",
    "ncpfs",
    "ocfs2",
    "orangefs",
    "panfs",
    "prl_fs",
    "pvfs2",
    "vboxsf",
    "virtiofs",
    "vmhgfs",
    "wekafs",
];

/// File systems in user space whose files are changed through the mount alone. All
/// others may be a view of something that is changed behind it.
const LOCAL_FUSE: &[&str] =
    &["cryfs", "encfs", "exfat", "fuse-overlayfs", "gocryptfs", "ntfs-3g", "securefs"];

/// The mounts of this machine, in the order they were made.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mounts(Vec<Mount>);

#[derive(Debug, PartialEq, Eq)]
struct Mount {
    point: PathBuf,
    file_system: String,
}

impl Mounts {
    pub(super) fn read() -> Mounts {
        std::fs::read("/proc/self/mountinfo").map(|text| Mounts::parse(&text)).unwrap_or_default()
    }

    /// From the text of proc_pid_mountinfo(5). Lines of another form are left out.
    pub(super) fn parse(text: &[u8]) -> Mounts {
        let mount = |line: &[u8]| {
            let (before, after) = line.split_once_str(" - ")?;
            let point = unescape(before.split_str(" ").nth(4)?);
            let file_system = after.split_str(" ").next()?.to_str().ok()?;
            Some(Mount { point: OsString::from_vec(point).into(), file_system: file_system.to_owned() })
        };
        Mounts(text.lines().filter_map(mount).collect())
    }

    /// The type of the file system that the canonical `path` is on, where it is remote.
    pub(super) fn remote(&self, path: &Path) -> Option<&str> {
        let above = self.0.iter().filter(|mount| path.starts_with(&mount.point));
        // Of several at one point the last covers the others, and it is what max_by_key takes.
        let nearest = above.max_by_key(|mount| mount.point.as_os_str().len())?;
        is_remote(&nearest.file_system).then_some(&nearest.file_system)
    }

    /// Whether another file system is mounted somewhere below `root`.
    pub(super) fn any_below(&self, root: &Path) -> bool {
        self.0.iter().any(|mount| mount.point != root && mount.point.starts_with(root))
    }
}

fn is_remote(file_system: &str) -> bool {
    match file_system.strip_prefix("fuse") {
        Some("blk") => false,
        Some(kind) => !kind.strip_prefix('.').is_some_and(|kind| LOCAL_FUSE.contains(&kind)),
        None => {
            file_system.starts_with("nfs") || file_system.starts_with("smb") || REMOTE.contains(&file_system)
        }
    }
}

/// Space, tab, newline, backslash and `#` are written as `\` and three octal digits.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|digits| byte == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        let value =
            digits.map(|digits| digits.iter().fold(0u32, |value, digit| value * 8 + u32::from(digit - b'0')));
        match value.and_then(|value| u8::try_from(value).ok()) {
            Some(value) => {
                bytes.push(value);
                rest = &after[3..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    const SAMPLE: &[u8] = b"\
22 28 0:20 / /proc rw,nosuid shared:12 - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=continue
40 28 0:44 / /home rw,relatime shared:20 master:3 - nfs4 server:/export/home rw,vers=4.2
41 40 0:45 / /home/u/fast rw,relatime - xfs /dev/nvme0n1 rw
42 28 0:46 / /mnt/with\\040space\\134x rw - fuse.sshfs me@host: rw,user_id=0
43 28 0:47 / /mnt/c rw,noatime - 9p C:\\134 rw,dirsync,aname=drvfs
44 28 8:17 / /mnt/usb rw - fuseblk /dev/sdb1 rw
45 28 0:48 / /srv rw - cifs //host/share rw
46 28 0:49 / /srv rw - tmpfs tmpfs rw
47 28 0:50 / /caf\xe9 rw shared:5 master:1 propagate_from:2 - virtiofs share rw
48 28 0:51 / /oct\\9al rw - ceph mon:/ rw
a line of another form
";

    #[test]
    fn the_nearest_mount_that_covers_a_path() {
        let mounts = Mounts::parse(SAMPLE);
        let cases: &[(&[u8], Option<&str>)] = &[
            (b"/", None),
            (b"/data/repo", None),
            (b"/home", Some("nfs4")),
            (b"/home/u/repo", Some("nfs4")),
            (b"/homes/repo", None),
            (b"/home/u/fast/repo", None),
            (b"/mnt/with space\\x/repo", Some("fuse.sshfs")),
            (b"/mnt/c/Users", Some("9p")),
            (b"/mnt/usb/repo", None),
            (b"/srv/repo", None),
            (b"/caf\xe9/repo", Some("virtiofs")),
            (b"/oct\\9al/repo", Some("ceph")),
        ];
        for (path, expected) in cases {
            assert_eq!(mounts.remote(Path::new(OsStr::from_bytes(path))), *expected, "{}", path.as_bstr());
        }
    }

    #[test]
    fn mounts_below() {
        let mounts = Mounts::parse(SAMPLE);
        for (root, expected) in [("/", true), ("/home", true), ("/home/u/fast", false), ("/ho", false)] {
            assert_eq!(mounts.any_below(Path::new(root)), expected, "{root}");
        }
    }

    #[test]
    fn what_does_not_read_is_local() {
        for text in [&b""[..], b"\n\n", b"1 2 3 - nfs", b"1 2 3 4 /", b"1 2 3 4 / rw -", b"\xff\xfe - "] {
            assert_eq!(Mounts::parse(text).remote(Path::new("/")), None, "{}", text.as_bstr());
        }
    }

    #[test]
    fn file_systems() {
        let remote = [
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "9p",
            "fuse",
            "fuse.sshfs",
            "fuse.s3fs",
            "fuse.rclone",
            "fuse.glusterfs",
            "fuse.grpcfuse",
            "fuse.bindfs",
            "ceph",
            "lustre",
            "vboxsf",
            "virtiofs",
            "drvfs",
        ];
        let local = [
            "ext4",
            "btrfs",
            "xfs",
            "zfs",
            "tmpfs",
            "overlay",
            "f2fs",
            "ntfs3",
            "vfat",
            "fuseblk",
            "fuse.fuse-overlayfs",
            "fuse.gocryptfs",
            "apfs",
            "",
        ];
        for name in remote {
            assert!(is_remote(name), "{name}");
        }
        for name in local {
            assert!(!is_remote(name), "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_has_a_root() {
        let mounts = Mounts::read();
        assert!(mounts.0.iter().any(|mount| mount.point == Path::new("/")), "{mounts:?}");
    }
}
