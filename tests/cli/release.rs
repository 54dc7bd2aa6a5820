//! A release that lies in a folder, and the programs that download from it: `curl` and `wget`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::process::PROGRAM;
use crate::support::project;

/// What is wrong with a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The archive is another one than the list says.
    Archive,
    /// The list does not name the archive.
    List,
    /// There is no such release.
    Missing,
    /// Nothing attests where the archive was built.
    Attestation,
}

/// The target of the release for this machine.
pub(crate) fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// Puts a release for a target, and what downloads and checks it, into a folder, and gives the environment of who uses
/// it.
///
/// The released program notes that it ran, and is ours.
pub(crate) fn publish(folder: &Path, target: &str, fault: Fault) -> Vec<(&'static str, OsString)> {
    let archive = format!("pipecat-rollout-{target}.tar.gz");
    for name in ["bin", "release", "temp"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let program = "#!/bin/sh\necho \"$@\" >\"$RAN\"\nexec \"$PROGRAM_OF_RELEASE\" \"$@\"\n";
    let release = folder.join("release");
    let built = folder.join("built");
    executable(&built, program);
    package(target, &built, &release);
    // As the release does it; a list may hold more than that.
    script("checksums", &[&release]);
    let list = release.join("SHA256SUMS");
    let other = "0".repeat(64);
    let sums = match fault {
        Fault::List => String::new(),
        _ => fs::read_to_string(&list).unwrap(),
    };
    let more = format!("{other}  other-{archive}\n{other}  {archive}.sig\n");
    fs::write(&list, sums + &more).unwrap();
    match fault {
        Fault::Archive => {
            executable(&built, &format!("{program}# changed\n"));
            package(target, &built, &release);
        }
        Fault::Missing => fs::remove_file(release.join(&archive)).unwrap(),
        Fault::None | Fault::List | Fault::Attestation => {}
    }
    // The last argument is the address, the one after --output or -O the file.
    let download = "#!/bin/sh\nwhile [ $# -gt 1 ]; do case $1 in --output | -O) out=$2 ;; esac; shift; done\n\
         echo \"$1\" >>\"$FETCHED\"\ncp \"$RELEASE/${1##*/}\" \"$out\" 2>/dev/null || exit 22\n";
    for name in ["curl", "wget"] {
        executable(&folder.join("bin").join(name), download);
    }
    let (said, code) = match fault {
        Fault::Attestation => ("no attestation\n::error::found", 1),
        _ => ("found", 0),
    };
    let check =
        format!("#!/bin/sh\necho \"$GH_TOKEN $*\" >>\"$CHECKED\"\necho '{said}'\nexit {code}\n");
    executable(&folder.join("bin/gh"), &check);
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    vec![
        ("PATH", path.into()),
        ("RELEASE", release.into()),
        ("FETCHED", folder.join("fetched").into()),
        ("CHECKED", folder.join("checked").into()),
        ("RAN", folder.join("ran").into()),
        ("PROGRAM_OF_RELEASE", PROGRAM.into()),
        ("RUNNER_TEMP", folder.join("temp").into()),
        ("TMPDIR", folder.join("temp").into()),
    ]
}

/// What was downloaded, in this order.
pub(crate) fn fetched(folder: &Path) -> Vec<String> {
    lines(folder, "fetched")
}

/// With what the attestations were checked.
pub(crate) fn checked(folder: &Path) -> Vec<String> {
    lines(folder, "checked")
}

/// What the released program was given last; none if it never ran.
pub(crate) fn ran(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("ran")).ok()?;
    Some(text.trim_end().to_owned())
}

fn lines(folder: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(folder.join(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

pub(crate) fn executable(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Packs a program as the release does it.
fn package(target: &str, program: &Path, folder: &Path) {
    script("package", &[target.as_ref(), program, folder]);
}

/// Runs a script of the release's.
fn script(name: &str, arguments: &[&Path]) {
    let output = Command::new(project(".github/scripts").join(name))
        .args(arguments)
        .env("PIPECAT_ROLLOUT_RUN", PROGRAM)
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {output:?}");
}
