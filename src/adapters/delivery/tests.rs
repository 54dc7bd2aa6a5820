//! Sinks against real receivers.

mod receiver;
mod slack;
mod tls;
mod transport;
mod webhook;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;

use self::receiver::Receiver;
use super::*;
use crate::core::fleet::{NoticeData, NoticeKind};
use crate::core::rollout::{Reason, Verdict};

/// Who tells it.
pub(super) const SOURCE: &str = "https://api.pipecat.daily.co/v1";

/// When every attempt is made.
const NOW: &str = "2026-11-23T15:00:05.9Z";

/// A notice.
pub(super) fn notice() -> Notice {
    notice_of("Traceback")
}

/// A notice of a rollout that failed with this message.
pub(super) fn notice_of(message: &str) -> Notice {
    Notice {
        id: "my-agent/new/finished/failed".to_owned(),
        kind: NoticeKind::RolloutFinished,
        time: "2026-11-23T15:00:00Z".parse().unwrap(),
        data: NoticeData {
            agent: "my-agent".to_owned(),
            deployment_id: Some("new".to_owned()),
            verdict: Some(Verdict::Failed),
            reason: Some(Reason {
                code: "CrashLoopBackOff".to_owned(),
                summary: "the code ends again and again".to_owned(),
                message: Some(message.to_owned()),
            }),
            ..NoticeData::default()
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
    let told = String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success(), "{told}");
    assert!(told.contains("1 passed"), "no test has this name: {told}");
}

/// TLS that trusts these.
fn tls(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(std::sync::Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

fn try_sink(settings: SinkSettings) -> Result<Sink, SinkError> {
    Sink::new(
        settings,
        &tls(RootCertStore::empty()),
        PlainText::LoopbackOnly,
    )
}

fn sink(settings: SinkSettings) -> Sink {
    try_sink(settings).unwrap()
}

fn webhook(url: &str) -> SinkSettings {
    SinkSettings::Webhook {
        url: url.to_owned(),
        secret_file: None,
    }
}

async fn deliver(sink: &Sink, notice: &Notice) -> Result<(), Undelivered> {
    sink.deliver_notice(notice, SOURCE, NOW.parse().unwrap())
        .await
}

/// The failure of an attempt that may succeed another time.
async fn why(sink: &Sink) -> String {
    let undelivered = deliver(sink, &notice()).await.unwrap_err();
    assert!(matches!(undelivered.then, Then::Retry(_)), "{undelivered}");
    undelivered.why
}

#[test]
fn an_attempt_may_move_between_threads() {
    let may_move = |_: &dyn Send| ();
    let sink = sink(webhook("https://example.com"));
    may_move(&sink.deliver_notice(&notice(), SOURCE, Timestamp::UNIX_EPOCH));
}

#[test]
fn settings_and_sinks_show_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let url = "https://s3cret:s3cret@hooks.example.com:8443/s3cret?s3cret#s3cret";
    std::fs::write(&file, url).unwrap();
    let command = ["notify\u{1b}[m", "--token", "s3cret"];
    for (settings, shown) in [
        (webhook(url), "webhook to hooks.example.com:8443"),
        (
            SinkSettings::Slack {
                url: SlackUrl::Text(url.to_owned()),
            },
            "Slack at hooks.example.com:8443",
        ),
        (
            SinkSettings::Slack {
                url: SlackUrl::File(file),
            },
            "Slack at hooks.example.com:8443",
        ),
        (
            SinkSettings::Exec {
                command: command.map(str::to_owned).to_vec(),
            },
            "program notify",
        ),
    ] {
        let debug = format!("{settings:?}");
        assert!(!debug.contains("s3cret"), "{debug}");
        let sink = sink(settings);
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
        path
    };
    let slack = |url| SinkSettings::Slack { url };
    let open = "http://example.com/s3cret";
    let signed = |secret_file| SinkSettings::Webhook {
        url: "https://example.com/s3cret".to_owned(),
        secret_file: Some(secret_file),
    };
    let in_the_open = "plain http to example.com would send the events in the open; use https, or --allow-insecure-http";
    for (settings, told) in [
        (webhook("s3cret"), "the sink's URL: it is not a URL"),
        (
            webhook("ftp://x/s3cret"),
            "the sink's URL: it is neither https nor http",
        ),
        (webhook(open), in_the_open),
        (slack(SlackUrl::Text(open.to_owned())), in_the_open),
        (slack(SlackUrl::File(file("open", open))), in_the_open),
        (
            slack(SlackUrl::File(file("empty", "\n"))),
            "empty: it holds nothing",
        ),
        (
            slack(SlackUrl::File(file("two", "s3cret\ns3cret"))),
            "it is not a URL",
        ),
        (
            slack(SlackUrl::File(folder.path().join("none"))),
            "none: No such file",
        ),
        (
            signed(file("secret", "s3cret")),
            "line 1 does not begin with whsec_",
        ),
        (signed(folder.path().join("none")), "none: No such file"),
        (
            SinkSettings::Exec {
                command: Vec::new(),
            },
            "the sink's command: it names no program",
        ),
    ] {
        let error = try_sink(settings).unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{error:?}"
        );
    }
    let anywhere = Sink::new(
        webhook(open),
        &tls(RootCertStore::empty()),
        PlainText::Anywhere,
    );
    assert!(anywhere.is_ok());
}
