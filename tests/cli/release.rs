//! A release that lies in a folder, and the programs that download from it: `curl` and `wget`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::harness::{PROGRAM, Test, project};

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
}

fn target() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

fn archive() -> String {
    format!("pipecat-rollout-{}.tar.gz", target())
}

/// Puts a release, and what downloads from it, into the folder of a run.
///
/// The released program notes that it ran, and is ours.
pub(crate) fn publish(test: Test, fault: Fault) -> Test {
    let folder = test.folder();
    for name in ["bin", "release", "temp"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    let program = "#!/bin/sh\necho \"$@\" >\"$RAN\"\nexec \"$PROGRAM\" \"$@\"\n";
    let release = folder.join("release");
    let built = folder.join("built");
    executable(&built, program);
    package(&built, &release);
    // As the release does it; a list may hold more than that.
    script("checksums", &[&release]);
    let list = release.join("SHA256SUMS");
    let other = "0".repeat(64);
    let sums = match fault {
        Fault::List => String::new(),
        Fault::None | Fault::Archive | Fault::Missing => fs::read_to_string(&list).unwrap(),
    };
    let more = format!("{other}  other-{}\n{other}  {0}.sig\n", archive());
    fs::write(&list, sums + &more).unwrap();
    match fault {
        Fault::Archive => {
            executable(&built, &format!("{program}# changed\n"));
            package(&built, &release);
        }
        Fault::Missing => fs::remove_file(release.join(archive())).unwrap(),
        Fault::None | Fault::List => {}
    }
    // The last argument is the address, the one after --output or -O the file.
    let download = "#!/bin/sh\nwhile [ $# -gt 1 ]; do case $1 in --output | -O) out=$2 ;; esac; shift; done\n\
         echo \"$1\" >>\"$FETCHED\"\ncp \"$RELEASE/${1##*/}\" \"$out\" 2>/dev/null || exit 22\n";
    for name in ["curl", "wget"] {
        executable(&folder.join("bin").join(name), download);
    }
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    test.env("PATH", path)
        .env("RELEASE", release)
        .env("FETCHED", folder.join("fetched"))
        .env("RAN", folder.join("ran"))
        .env("PROGRAM", PROGRAM)
        .env("RUNNER_TEMP", folder.join("temp"))
        .env("TMPDIR", folder.join("temp"))
}

/// What was downloaded, in this order, with the archive's name by name.
pub(crate) fn fetched(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("fetched")).unwrap_or_default();
    let named = text.replace(&archive(), "ARCHIVE");
    named.lines().map(str::to_owned).collect()
}

/// What the released program was given; none if it never ran.
pub(crate) fn ran(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("ran")).ok()?;
    Some(text.trim_end().to_owned())
}

pub(crate) fn executable(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Packs a program as the release does it.
fn package(program: &Path, folder: &Path) {
    script("package", &[target().as_ref(), program, folder]);
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
