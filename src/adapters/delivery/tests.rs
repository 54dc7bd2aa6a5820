//! Sinks against real receivers.

mod receiver;
mod shape;
mod slack;
mod tls;
mod transport;
mod webhook;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;

use self::receiver::Receiver;
use super::*;
use crate::adapters::api::http_client;
use crate::core::fleet::{EventData, EventKind, FleetEvent, Origin, StoredEvent};
use crate::core::rollout::{Reason, Verdict};
use crate::core::text::loopback::PlainHttp;

/// The API that is watched.
pub(super) const SOURCE: &str = "https://api.pipecat.daily.co/v1";

/// When every attempt is made.
const NOW: &str = "2026-11-23T15:00:05.9Z";

/// An event.
pub(super) fn event() -> StoredEvent {
    event_of("Traceback")
}

/// A rollout that failed with this message.
pub(super) fn event_of(message: &str) -> StoredEvent {
    StoredEvent {
        number: 17,
        store_id: "store".to_owned(),
        event: FleetEvent {
            kind: EventKind::RolloutFinished,
            time: "2026-11-23T15:00:00Z".parse().unwrap(),
            dedup_key: "my-agent/new".to_owned(),
            data: EventData {
                agent: "my-agent".to_owned(),
                deployment_id: Some("new".to_owned()),
                verdict: Some(Verdict::Failed),
                reason: Some(Reason {
                    code: "CrashLoopBackOff".to_owned(),
                    summary: "the code ends again and again".to_owned(),
                    message: Some(message.to_owned()),
                }),
                ..EventData::default()
            },
        },
    }
}

/// Runs a check in a process of its own, which is the test of this name again with these variables.
pub(super) fn again_with(variables: &[(&str, &str)], name: &str, check: impl FnOnce()) {
    const INNER: &str = "PIPECAT_ROLLOUT_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        return check();
    }
    let ended = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .envs(variables.iter().copied())
        .env(INNER, "")
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{output}");
    assert!(
        output.contains("1 passed"),
        "no test has this name: {output}"
    );
}

/// TLS that trusts these.
fn tls(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn network(plain_http: PlainHttp) -> Network {
    let http_client = |is_direct| Ok(http_client(tls(RootCertStore::empty()), is_direct));
    Network::new(
        plain_http,
        None,
        Box::new(http_client),
        Box::new(str::to_owned),
    )
}

/// The configuration of a sink, from its own keys.
pub(super) fn config(kind: Kind, keys: &str) -> Config {
    Config::read(kind, toml::Deserializer::parse(keys).unwrap()).unwrap()
}

/// A sink of these keys, within loopback.
pub(super) fn sink(kind: Kind, keys: &str) -> Result<Sink, SinkError> {
    let network = network(PlainHttp::LoopbackOnly);
    Sink::new(config(kind, keys), None, &network)
}

fn webhook(url: &str) -> Sink {
    sink(Kind::Webhook, &format!("url = '{url}'")).unwrap()
}

pub(super) async fn deliver(sink: &Sink, event: &StoredEvent) -> Result<(), DeliveryError> {
    deliver_at(sink, event, NOW.parse().unwrap()).await
}

pub(super) async fn deliver_at(
    sink: &Sink,
    event: &StoredEvent,
    now: Timestamp,
) -> Result<(), DeliveryError> {
    let (events, origin) = ([event.clone()], origin());
    let what = Notification::of_all(&events, &origin);
    sink.deliver(what, now).await
}

/// Where the events come from.
pub(super) fn origin() -> Origin {
    Origin {
        source: SOURCE.to_owned(),
        ..Origin::default()
    }
}

/// Why an attempt failed, and that it is about the receiver.
pub(super) async fn unavailable(sink: &Sink) -> String {
    let error = deliver(sink, &event()).await.unwrap_err();
    let retry_after = None;
    assert_eq!(
        error.failure,
        DeliveryFailure::Unavailable { retry_after },
        "{error}"
    );
    error.reason
}

/// Why an attempt failed, and that it is about the event.
pub(super) async fn refused(sink: &Sink) -> String {
    let error = deliver(sink, &event()).await.unwrap_err();
    assert_eq!(error.failure, DeliveryFailure::Refused, "{error}");
    error.reason
}

#[test]
fn an_attempt_may_move_between_threads() {
    let may_move = |_: &dyn Send| ();
    let sink = webhook("https://example.com");
    let (events, origin) = ([event()], origin());
    let what = Notification::of_all(&events, &origin);
    may_move(&sink.deliver(what, Timestamp::UNIX_EPOCH));
}

#[test]
fn a_sink_is_shown_by_its_host_or_program_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let url = "https://s3cret:s3cret@hooks.example.com:8443/s3cret?s3cret#s3cret";
    std::fs::write(&file, url).unwrap();
    let (url, file) = (format!("url = '{url}'"), format!("url-file = {file:?}"));
    for (kind, keys, shown) in [
        (
            Kind::Webhook,
            url.as_str(),
            "webhook to hooks.example.com:8443",
        ),
        (
            Kind::Webhook,
            file.as_str(),
            "webhook to hooks.example.com:8443",
        ),
        (Kind::Slack, &url, "Slack at hooks.example.com:8443"),
        (Kind::Slack, &file, "Slack at hooks.example.com:8443"),
        (
            Kind::Exec,
            "command = ['/bin/sh', '--token', 's3cret']",
            "program /bin/sh",
        ),
    ] {
        let sink = sink(kind, keys).unwrap();
        assert_eq!(sink.to_string(), shown);
        assert_eq!(format!("{sink:?}"), format!("Sink({shown})"));
    }
}

#[test]
fn what_cannot_work_is_refused_at_once_and_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let missing = folder.path().join("none").display().to_string();
    let text = file("text", "s3cret");
    let empty = file("empty", "\n");
    let open = "http://example.com/s3cret";
    let in_the_open = "plain http to example.com would send the events in the open; use https, or \
                       --allow-insecure-http";
    for (kind, keys, words) in [
        (
            Kind::Webhook,
            String::new(),
            "url: it needs a url or a url-file",
        ),
        (
            Kind::Webhook,
            "url = 's3cret'".to_owned(),
            "url: it is not a URL",
        ),
        (
            Kind::Webhook,
            "url = 'ftp://x/s3cret'".to_owned(),
            "url: it is neither https nor http",
        ),
        (Kind::Webhook, format!("url = '{open}'"), in_the_open),
        (
            Kind::Webhook,
            format!("url = 'https://x/s3cret'\nurl-file = '{text}'"),
            "url-file: it has a url as well",
        ),
        (Kind::Slack, format!("url = '{open}'"), in_the_open),
        (
            Kind::Slack,
            format!("url-file = '{}'", file("open", open)),
            in_the_open,
        ),
        (
            Kind::Slack,
            format!("url-file = '{empty}'"),
            "empty must hold one URL: it is not a URL",
        ),
        (
            Kind::Slack,
            format!("url-file = '{missing}'"),
            "none: No such file",
        ),
        (
            Kind::Webhook,
            format!("url = 'https://x'\nsecret-file = '{text}'"),
            "text: line 1 does not begin with whsec_",
        ),
        (
            Kind::Webhook,
            format!("url = 'https://x'\nsecret-file = '{missing}'"),
            "none: No such file",
        ),
    ] {
        let error = sink(kind, &keys).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
    let config = config(Kind::Webhook, &format!("url = '{open}'"));
    let network = network(PlainHttp::Anywhere);
    assert!(Sink::new(config, None, &network).is_ok());
}
