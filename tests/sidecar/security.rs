//! Secrets are in nothing that it shows or leaves, however much it logs and whatever others repeat.

use std::fs;

use serde_json::json;

use crate::api::Api;
use crate::harness::{Place, get};
use crate::receiver::{Receiver, Reply};
use crate::support::KEY;

const SIGNING_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TOKEN: &str = "pcc_pat_5ecret_of_the_cli";
const SECRET_PATH: &str = "T0000-s3cret-path";

#[test]
fn no_secret_is_in_any_output_or_file() {
    let api = Api::with(&["a"]);
    // A server that repeats what it was sent, and a crash that lists its environment.
    api.set(
        "a",
        &json!({ "errors": [{"code": KEY, "message": format!("PIPECAT_API_KEY={KEY}")}] }),
    );
    let (taking, failing) = (
        Receiver::start(),
        // Many servers repeat the path that they do not know.
        Receiver::replying(|_, _| Reply::Repeat),
    );
    let place = Place::of(&api).file("signing", SIGNING_SECRET);
    let secret = place.path("signing");
    let place = place
        .config(&format!(
            "[[sink]]\nname = \"taking\"\nkind = \"webhook\"\nurl = \"{}/{SECRET_PATH}\"\n\
             secret-file = \"{}\"\n\
             [[sink]]\nname = \"failing\"\nkind = \"webhook\"\nurl = \"{}/{SECRET_PATH}\"\n\
             [[sink]]\nname = \"refusing\"\nkind = \"slack\"\nurl = \"http://127.0.0.1:1/{SECRET_PATH}\"\n\
             [[sink]]\nname = \"program\"\nkind = \"exec\"\n\
             command = [\"/bin/sh\", \"-c\", \"env >&2; exit 1\"]\n",
            taking.url(),
            secret.display(),
            failing.url(),
        ))
        .args("-vv");
    let mut command = place.sidecar();
    command.env("RUST_LOG", "trace");
    command.env("PIPECAT_TOKEN", TOKEN);
    let sidecar = place.start_command(command);
    sidecar.wait_for_log("\"message\":\"watching ");
    api.deploy("a", "d2");
    taking.wait_for_line("a d2 rollout.finished failed");
    failing.wait_for(|received| received.len() > 1);
    sidecar.wait_for_log("program: a delivery failed");
    sidecar.wait_for_log("refusing: a delivery failed");
    let mut outputs: Vec<String> = [
        "/livez",
        "/readyz",
        "/metrics",
        "/v1/agents",
        "/v1/rollouts",
    ]
    .iter()
    .map(|path| get(sidecar.endpoints(), path).unwrap().1)
    .collect();
    let arguments = fs::read(format!("/proc/{}/cmdline", sidecar.id())).unwrap_or_default();
    outputs.push(String::from_utf8_lossy(&arguments).into_owned());
    outputs.extend(taking.received().iter().map(|one| one.event.to_string()));
    outputs.push(place.other(&["history", "--output", "json"]).stdout);
    outputs.push(sidecar.stop().stderr);
    let secrets = [
        KEY,
        TOKEN,
        SECRET_PATH,
        SIGNING_SECRET.strip_prefix("whsec_").unwrap(),
    ];
    for text in &outputs {
        for secret in secrets {
            if let Some(at) = text.find(secret) {
                let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
                panic!("{secret} in: {}", &text[start..at + secret.len()]);
            }
        }
    }
    let own = ["watch.toml", "signing"];
    let mut files = 0;
    for entry in fs::read_dir(place.path("")).unwrap() {
        let path = entry.unwrap().path();
        if own.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for secret in secrets {
            let held = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!held, "{secret} is in {}", path.display());
        }
        files += 1;
    }
    assert!(files >= 1, "the store");
}
