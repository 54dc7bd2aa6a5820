//! Notes the commit that is built, for `--version`.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PIPECAT_ROLLOUT_COMMIT");
    let told = std::env::var("PIPECAT_ROLLOUT_COMMIT").ok();
    let commit = told.filter(|commit| !commit.is_empty()).or_else(from_git);
    let version = env!("CARGO_PKG_VERSION");
    let version = match commit {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    };
    println!("cargo::rustc-env=PIPECAT_ROLLOUT_VERSION={version}");
}

/// The commit and its date, if this is a checkout; a source archive has none.
fn from_git() -> Option<String> {
    // What a commit changes: what HEAD names, and where that points.
    for file in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", file])?;
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // A repository that merely holds a copy of this one knows nothing of its commits.
    let own = git(&["rev-parse", "--show-prefix"])?.is_empty();
    own.then(|| git(&["log", "-1", "--format=%h %cs", "--abbrev=10"]))
        .flatten()
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
