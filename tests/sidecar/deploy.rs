//! The files under `config/deploy`: what they run, our program understands.

use std::process::Command;

use serde_json::Value;

use crate::api::Api;
use crate::harness::{PROGRAM, Place, project};

fn yaml(name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(project("config/deploy").join(name)).unwrap();
    let documents = text.split("\n---\n");
    documents
        .map(|document| serde_saphyr::from_str(document).unwrap())
        .collect()
}

/// The arguments work, but for the paths and addresses of other machines.
fn understood(arguments: &Value) {
    let place = Place::of(&Api::with(&[]));
    let key = place.path("key");
    let place = place.file("key", "a-key-of-ours\n");
    let arguments: Vec<String> = arguments
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap())
        .map(|argument| match argument.split_once('=') {
            Some(("--api-key-file", _)) => format!("--api-key-file={}", key.display()),
            _ => argument.to_owned(),
        })
        .chain(["--check-config".to_owned()])
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ended = place.other(&arguments);
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(
        ended.stdout.contains("key      the private API key in "),
        "{}",
        ended.stdout
    );
    assert!(
        ended
            .stdout
            .contains("store    /state/pipecat-rollout.db\n"),
        "{}",
        ended.stdout
    );
}

#[test]
fn the_manifests_run_what_there_is() {
    let standalone = &yaml("kubernetes.yaml")[1];
    let standalone = &standalone["spec"]["template"]["spec"]["containers"][0];
    let sidecar = &yaml("kubernetes-sidecar.yaml")[0]["spec"]["initContainers"][0];
    let service = &yaml("compose.yaml")[0]["services"]["pipecat-rollout"];
    understood(&standalone["args"]);
    understood(&sidecar["args"]);
    understood(&service["command"]);
    // The tag that a release gives its image.
    let repository = env!("CARGO_PKG_REPOSITORY").replace("https://github.com/", "ghcr.io/");
    let image = format!("{repository}:{}", env!("CARGO_PKG_VERSION"));
    for container in [standalone, sidecar, service] {
        let named = container["image"].as_str().unwrap();
        assert!(named.eq_ignore_ascii_case(&image), "{named}");
    }
}

#[test]
fn the_unit_passes_systemds_own_check() {
    let Ok(found) = Command::new("systemd-analyze").arg("--version").output() else {
        println!("systemd-analyze is not here: the unit was not checked");
        return;
    };
    assert!(found.status.success());
    let unit = std::fs::read_to_string(project("config/deploy/pipecat-rollout.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/local/bin/pipecat-rollout watch "));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipecat-rollout.service");
    let unit = unit.replace("/usr/local/bin/pipecat-rollout", PROGRAM);
    std::fs::write(&path, unit).unwrap();
    let checked = Command::new("systemd-analyze")
        .args(["verify", "--recursive-errors=no"])
        .arg(&path)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{words}");
    assert!(!words.contains("pipecat-rollout.service"), "{words}");
}
