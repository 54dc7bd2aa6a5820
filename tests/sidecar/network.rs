//! Servers that go and come again: at the same address, and at another that the name then has.

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::harness::{Place, Sidecar, get_json};
use crate::receiver::Receiver;
use crate::station::{Station, details};
use crate::support::http::{Request, answer};
use crate::support::tls::{Fault, TlsServer, expired};
use crate::support::wait_until;

const WAIT: [&str; 5] = [
    "wait-for-ready",
    "my-agent",
    "--progress",
    "json",
    "--poll-interval=200ms",
];

/// Waits until the server was asked so often.
fn asked(station: &Station, times: usize) {
    let what = format!("{times} requests");
    wait_until(&what, || (station.requests() >= times).then_some(()));
}

#[test]
fn a_wait_goes_on_when_the_server_is_started_anew_at_its_address() {
    let station = Station::at("127.0.0.1", "d2");
    let place = Place::at(&station.url());
    let wait = place.start_command(place.command(&WAIT));
    asked(&station, 3);
    let address = station.address();
    station.end();
    wait.wait_for_log("\"event\":\"poll-failed\"");
    let station = Station::ready_at(address, "d2");
    let ended = wait.end();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(ended.stdout.starts_with("my-agent: ready"), "{ended:?}");
    assert!(
        ended.stderr.contains("\"event\":\"poll-recovered\""),
        "{ended:?}"
    );
    station.end();
}

#[test]
fn a_sidecar_goes_on_when_the_server_is_started_anew_and_finds_what_was_deployed_meanwhile() {
    let station = Station::ready_at("127.0.0.1:0".parse().unwrap(), "d1");
    let place = Place::at(&station.url());
    let sidecar = place.start_watching();
    let address = station.address();
    station.end();
    sidecar.wait_for_log("cannot be read");
    let station = Station::ready_at(address, "d2");
    let rollouts = wait_until("the rollout is reported", || {
        let page = get_json(sidecar.endpoints(), "/v1/rollouts")?;
        let rollouts = page["rollouts"].as_array().unwrap().clone();
        (!rollouts.is_empty()).then_some(rollouts)
    });
    assert_eq!(rollouts.len(), 1, "{rollouts:?}");
    assert_eq!(rollouts[0]["deploymentId"], "d2");
    assert_eq!(rollouts[0]["verdict"], "ready");
    let log = sidecar.stop().stderr;
    assert!(
        !log.contains("agent.removed") && !log.contains("agent.unready"),
        "{log}"
    );
    station.end();
}

/// The command in a world of its own, where a file of the test's is `/etc/hosts`; none where this
/// machine does not let us make one.
fn with_hosts(command: &Command) -> Option<Command> {
    let allowed = Command::new("unshare").args(["-rm", "true"]).output();
    if !allowed.is_ok_and(|output| output.status.success()) {
        println!("not tried: no mount namespace can be made here");
        return None;
    }
    let environment = command
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let mut unshared = Command::new("unshare");
    let script = "mount --bind hosts /etc/hosts && exec \"$0\" \"$@\"";
    unshared
        .args(["-rm", "sh", "-c", script])
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(command.get_current_dir().unwrap())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .envs(environment)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Some(unshared)
}

#[test]
fn a_wait_follows_a_name_to_its_new_address() {
    let old = Station::at("127.0.0.2", "d2");
    let port = old.address().port();
    let place = Place::at(&format!("http://api.example.test:{port}/v1"));
    let place = place.file("hosts", "127.0.0.2 api.example.test\n");
    let arguments = [&WAIT[..], &["--allow-insecure-http"]].concat();
    let Some(command) = with_hosts(&place.command(&arguments)) else {
        return;
    };
    let wait: Sidecar = place.start_command(command);
    asked(&old, 3);
    // The same file, which is what is mounted.
    fs::write(place.path("hosts"), "127.0.0.3 api.example.test\n").unwrap();
    let new = Station::ready_at(format!("127.0.0.3:{port}").parse().unwrap(), "d2");
    old.end();
    let ended = wait.end();
    assert_eq!(ended.code(), 0, "{ended:?}");
    assert!(new.requests() > 0);
    new.end();
}

#[test]
fn localhost_is_this_machine_whatever_the_resolver_says() {
    let station = Station::at("127.0.0.1", "d2");
    let port = station.address().port();
    let receiver = Receiver::start();
    let address = receiver.url().replace("127.0.0.1", "localhost");
    let place = Place::at(&format!("http://localhost:{port}/v1"))
        .webhook("hook", &address)
        .file("hosts", "127.0.0.2 localhost\n");
    let Some(check) = with_hosts(&place.command(&["status", "my-agent"])) else {
        return;
    };
    // Nobody listens where the resolver says.
    let ended = place.start_command(check).end();
    let expected = "my-agent: still progressing, deployment d2: ";
    assert!(ended.stdout.starts_with(expected), "{ended:?}");
    let sidecar = place.start_command(with_hosts(&place.sidecar()).unwrap());
    receiver.wait_for_line("my-agent d2 rollout.started");
    sidecar.stop();
    station.end();
}

/// What an API with this agent answers.
fn api_answer(deployment: &str, ready: bool, request: &Request) -> String {
    let details = details(deployment, ready);
    let list = request.path.ends_with("/agents");
    let body = if list {
        json!({ "services": [details] })
    } else {
        details
    };
    answer("200 OK", "", &body.to_string())
}

#[test]
fn a_sidecar_outlives_a_certificate_that_ran_out_and_ends_its_rollouts_after() {
    let shown = Arc::new(Mutex::new(("d1", true)));
    let showing = Arc::clone(&shown);
    let faults = &[Fault::CutHandshake, Fault::NoTls, Fault::CutAnswer];
    let server = TlsServer::start(faults, move |request| {
        let (deployment, ready) = *showing.lock().unwrap();
        api_answer(deployment, ready, request)
    });
    let place = Place::at(&server.url()).file("ca.pem", &server.authority);
    let place = place.config("ca-file = \"ca.pem\"\n");
    let sidecar = place.start_watching();
    *shown.lock().unwrap() = ("d2", false);
    sidecar.wait_for_log("\"event\":\"rollout.started\"");
    server.present(expired);
    sidecar.wait_for_log("expired on 2020-01-02");
    *shown.lock().unwrap() = ("d2", true);
    server.present(|_| ());
    let ended = wait_until("the rollout has ended", || {
        let page = get_json(sidecar.endpoints(), "/v1/rollouts")?;
        let rollouts = page["rollouts"].as_array().unwrap().clone();
        (!rollouts.is_empty()).then_some(rollouts)
    });
    assert_eq!(ended.len(), 1, "{ended:?}");
    assert_eq!(ended[0]["verdict"], "ready", "{ended:?}");
    sidecar.stop();
}
