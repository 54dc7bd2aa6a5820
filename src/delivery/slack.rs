//! Messages for Slack's incoming webhooks, in which foreign text pings nobody and formats nothing.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use rustls::ClientConfig;
use serde_json::json;

use super::endpoint::{Endpoint, PlainText};
use super::{SinkError, Undelivered};
use crate::fleet::{Notice, NoticeKind};
use crate::rollout::Verdict;
use crate::text::{lines, one_line};

/// The most characters of a crash message, of its end.
const MOST_MESSAGE: usize = 2000;

/// An incoming webhook of Slack's.
pub(super) struct Slack {
    endpoint: Endpoint,
}

impl Slack {
    pub(super) fn new(
        url: &str,
        tls: &ClientConfig,
        plain_text: PlainText,
    ) -> Result<Self, SinkError> {
        let endpoint = Endpoint::new(url, tls, plain_text)?;
        Ok(Self { endpoint })
    }

    pub(super) async fn deliver(&self, notice: &Notice) -> Result<(), Undelivered> {
        let mut headers = HeaderMap::new();
        let content_type = HeaderValue::from_static("application/json; charset=utf-8");
        headers.insert(CONTENT_TYPE, content_type);
        let body = json!({ "text": message(notice), "unfurl_links": false });
        self.endpoint.post(headers, body.to_string()).await
    }
}

/// What happened, as Slack's own markup.
fn message(notice: &Notice) -> String {
    let data = &notice.data;
    let sign = match (notice.kind, data.verdict) {
        (NoticeKind::RolloutFinished, Some(Verdict::Ready)) | (NoticeKind::AgentRecovered, _) => {
            ":white_check_mark:"
        }
        (NoticeKind::RolloutFinished, Some(Verdict::Superseded)) => ":fast_forward:",
        (NoticeKind::RolloutFinished | NoticeKind::AgentUnready, _) => ":x:",
        (NoticeKind::RolloutStarted | NoticeKind::RolloutPhaseChanged, _) => ":rocket:",
        (NoticeKind::AgentAdded | NoticeKind::AgentRemoved, _) => ":information_source:",
    };
    let headline = escape(&notice.headline().replace('`', "'"));
    let mut text = format!("{sign} {}: {headline}", code(&data.agent));
    let mut facts = Vec::new();
    if let Some(deployment) = &data.deployment_id {
        facts.push(format!("deployment {}", code(deployment)));
    }
    if let Some(region) = &data.region {
        facts.push(escape(&one_line(region).replace('`', "'")));
    }
    if !facts.is_empty() {
        text = format!("{text}\n{}", facts.join(", "));
    }
    let reason = data.reason.as_ref();
    if let Some(message) = reason.and_then(|reason| reason.message.as_deref()) {
        let block = code_block(message);
        text = format!("{text}\n{block}");
    }
    text
}

/// The end of a message, as a block that nothing in it can close.
fn code_block(message: &str) -> String {
    let whole = lines(message).join("\n").replace('`', "'");
    let excess = whole.chars().count().saturating_sub(MOST_MESSAGE);
    let tail: String = whole.chars().skip(excess).collect();
    let mark = if excess > 0 { "…" } else { "" };
    format!("```{mark}{}```", escape(&tail))
}

/// A name, as it is.
fn code(text: &str) -> String {
    format!("`{}`", escape(&one_line(text).replace('`', "'")))
}

/// Without the three characters that begin a link, a mention or a ping.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::fleet::NoticeData;
    use crate::rollout::Reason;

    fn told(kind: NoticeKind, change: impl FnOnce(&mut NoticeData)) -> String {
        let mut data = NoticeData {
            agent: "my_agent".to_owned(),
            ..NoticeData::default()
        };
        change(&mut data);
        message(&Notice {
            id: "id".to_owned(),
            kind,
            time: Timestamp::UNIX_EPOCH,
            data,
        })
    }

    #[test]
    fn a_message_says_who_what_and_why() {
        let failed = told(NoticeKind::RolloutFinished, |data| {
            data.verdict = Some(Verdict::Failed);
            data.deployment_id = Some("new".to_owned());
            data.region = Some("us-west".to_owned());
            data.elapsed_ms = Some(72_000);
            data.reason = Some(Reason {
                code: "CrashLoopBackOff".to_owned(),
                summary: "its code crashes".to_owned(),
                message: Some("Traceback\nKeyError: 'x'".to_owned()),
            });
        });
        assert_eq!(
            failed,
            ":x: `my_agent`: rollout failed after 1m 12s: its code crashes\n\
             deployment `new`, us-west\n```Traceback\nKeyError: 'x'```"
        );
        let ready = told(NoticeKind::RolloutFinished, |data| {
            data.verdict = Some(Verdict::Ready);
        });
        assert_eq!(ready, ":white_check_mark: `my_agent`: rollout ready");
    }

    #[test]
    fn every_kind_and_verdict_has_its_sign() {
        let sign = |kind, verdict| {
            let text = told(kind, |data| data.verdict = verdict);
            text.split(' ').next().unwrap().to_owned()
        };
        let signs = NoticeKind::ALL.map(|kind| sign(kind, None));
        assert_eq!(
            signs,
            [
                ":rocket:",
                ":rocket:",
                ":x:",
                ":x:",
                ":white_check_mark:",
                ":information_source:",
                ":information_source:"
            ]
        );
        let superseded = sign(NoticeKind::RolloutFinished, Some(Verdict::Superseded));
        assert_eq!(superseded, ":fast_forward:");
    }

    #[test]
    fn foreign_text_pings_nobody_and_ends_no_block() {
        let evil = "<!channel> <https://evil|click> & `x` ```\u{1b}[31m\u{202e}";
        let text = told(NoticeKind::RolloutFinished, |data| {
            data.agent = evil.to_owned();
            data.deployment_id = Some(evil.to_owned());
            data.region = Some(evil.to_owned());
            data.reason = Some(Reason {
                code: evil.to_owned(),
                summary: evil.to_owned(),
                message: Some(evil.to_owned()),
            });
        });
        assert!(!text.contains(['<', '>', '\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains("&lt;!channel&gt;"), "{text}");
        let block = text.split("```").collect::<Vec<_>>();
        assert_eq!(block.len(), 3, "one block: {text}");
        assert_eq!(block[2], "");
    }

    #[test]
    fn of_a_long_message_the_end_is_shown() {
        let text = told(NoticeKind::AgentUnready, |data| {
            data.reason = Some(Reason {
                code: "Error".to_owned(),
                summary: "it crashed".to_owned(),
                message: Some(format!("begin{}the end", "x".repeat(9000))),
            });
        });
        assert!(text.ends_with("xthe end```"), "{text}");
        assert!(!text.contains("begin"), "{text}");
        assert!(text.len() < 2300, "{}", text.len());
    }
}
