//! The files under `config/deploy`: what they run, our program understands.

use std::process::Command;

use serde_json::Value;

use crate::api::Api;
use crate::harness::{Place, get};
use crate::support::process::PROGRAM;
use crate::support::{self, project_text, wait_until};

fn yaml(name: &str) -> Vec<Value> {
    let text = project_text(&format!("config/deploy/{name}"));
    text.split("\n---\n").map(support::parse_yaml).collect()
}

/// The document of a kind.
fn kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let mut documents = documents.iter();
    documents
        .find(|document| document["kind"] == kind)
        .unwrap_or_else(|| panic!("no {kind}"))
}

/// The arguments work, but for the paths and addresses of other machines.
fn understood(arguments: &Value, config: &str) {
    let place = Place::of(&Api::with(&[]));
    let (key, file) = (place.path("key"), place.path("config.toml"));
    let place = place
        .file("key", "a-key-of-ours\n")
        .file("config.toml", config);
    let arguments: Vec<String> = arguments
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap())
        .map(|argument| match argument.split_once('=') {
            Some(("--api-key-file", _)) => format!("--api-key-file={}", key.display()),
            Some(("--config", _)) => format!("--config={}", file.display()),
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
    let documents = yaml("kubernetes.yaml");
    let config = kind(&documents, "ConfigMap")["data"]["pipecat-rollout.toml"]
        .as_str()
        .unwrap();
    let pod = &kind(&documents, "Deployment")["spec"]["template"]["spec"];
    let standalone = &pod["containers"][0];
    let beside = yaml("kubernetes-sidecar.yaml");
    let sidecar = &beside[0]["spec"]["initContainers"][0];
    let service = &yaml("compose.yaml")[0]["services"]["pipecat-rollout"];
    understood(&standalone["args"], config);
    understood(&sidecar["args"], "");
    understood(&service["command"], "");
    // The tag that a release gives its image.
    let image = concat!("ghcr.io/OWNER/pipecat-rollout:", env!("CARGO_PKG_VERSION"));
    for container in [standalone, sidecar, service] {
        assert_eq!(container["image"], image);
    }
    // What is asked of it, it answers: the paths are there, and so is the port.
    let api = Api::with(&["a"]);
    // With a token as well, which the probes of Kubernetes cannot read from its file.
    let place = Place::of(&api).file("token", "0123456789abcdef\n");
    let token = format!("--http-token-file {}", place.path("token").display());
    let place = place.args(&token);
    let running = place.start_watching();
    for container in [standalone, sidecar] {
        let security = &container["securityContext"];
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["capabilities"]["drop"][0], "ALL");
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let asked = &container[probe]["httpGet"];
            if asked.is_null() {
                assert_eq!((probe, container), ("readinessProbe", sidecar));
                continue;
            }
            assert_eq!(asked["port"], container["ports"][0]["name"]);
            let answers = || {
                let answer = get(running.endpoints(), asked["path"].as_str().unwrap());
                (answer.unwrap().0 == 200).then_some(())
            };
            wait_until(probe, answers);
        }
    }
    let check: Vec<&str> = service["healthcheck"]["test"].as_array().unwrap()[2..]
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect();
    let at = running.endpoints().to_string();
    let health = place.other(&[&check[..], &["--listen", &at]].concat());
    assert_eq!(health.code(), 0, "{health:?}");
    running.stop();
    for pod in [pod, &beside[0]["spec"]] {
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    }
}

#[test]
fn all_that_selects_the_pod_selects_it() {
    let documents = yaml("kubernetes.yaml");
    let template = &kind(&documents, "Deployment")["spec"]["template"];
    let labels = &template["metadata"]["labels"];
    let port = &template["spec"]["containers"][0]["ports"][0]["name"];
    let service = &kind(&documents, "Service")["spec"];
    let policy = &kind(&documents, "NetworkPolicy")["spec"];
    let monitors = yaml("podmonitor.yaml");
    let monitor = &kind(&monitors, "PodMonitor")["spec"];
    for selector in [
        &kind(&documents, "Deployment")["spec"]["selector"]["matchLabels"],
        &service["selector"],
        &policy["podSelector"]["matchLabels"],
        &monitor["selector"]["matchLabels"],
    ] {
        assert_eq!(selector, labels);
    }
    for named in [
        &service["ports"][0]["targetPort"],
        &policy["ingress"][0]["ports"][0]["port"],
        &monitor["podMetricsEndpoints"][0]["port"],
    ] {
        assert_eq!(named, port);
    }
    // The rules know the scrape by this name.
    assert_eq!(
        labels[monitor["jobLabel"].as_str().unwrap()],
        "pipecat-rollout"
    );
}

#[test]
fn the_unit_passes_systemds_own_check() {
    let Ok(found) = Command::new("systemd-analyze").arg("--version").output() else {
        println!("systemd-analyze is not here: the unit was not checked");
        return;
    };
    assert!(found.status.success());
    let unit = project_text("config/deploy/pipecat-rollout.service");
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
