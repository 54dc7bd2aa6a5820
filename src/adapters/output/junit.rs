//! The verdicts as test results in JUnit XML, which every CI can show.
//!
//! One suite, a test case an agent: judged as not ready is a failure, not judged is an error.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::messages::{self, Mode};
use crate::core::rollout::{AgentReport, Report, Verdict};
use crate::core::text::{lines, one_line};

/// The document, whole.
#[must_use]
pub fn document(report: &Report) -> String {
    let outcomes = || report.agents.iter().map(|agent| &agent.outcome);
    let count = |wanted| {
        let results = outcomes().map(|outcome| result(outcome.verdict));
        results.filter(|result| *result == wanted).count()
    };
    let longest = outcomes().map(|outcome| outcome.elapsed).max();
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <testsuites>\n\
         <testsuite name=\"pipecat-rollout\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"0\" time=\"{}\"",
        report.agents.len(),
        count(FAILURE),
        count(ERROR),
        seconds(longest.unwrap_or_default()),
    );
    if let Some(began) = report.agents.iter().map(|agent| agent.started_at).min() {
        // Writing to a String cannot fail.
        let _ = write!(xml, " timestamp=\"{began:.0}\"");
    }
    xml.push_str(">\n");
    for agent in &report.agents {
        xml.push_str(&test_case(agent));
    }
    xml.push_str("</testsuite>\n</testsuites>\n");
    xml
}

fn test_case(report: &AgentReport) -> String {
    let mut xml = format!(
        "<testcase classname=\"pipecat-rollout\" name=\"{}\" time=\"{}\">\n",
        escaped(&one_line(&report.agent)),
        seconds(report.outcome.elapsed),
    );
    let reason = report.outcome.reason.as_ref();
    if let Some(element) = result(report.outcome.verdict) {
        let code = reason.map(|reason| one_line(&reason.code));
        let _ = writeln!(
            xml,
            "<{element} type=\"{}\" message=\"{}\">{}</{element}>",
            escaped(&code.unwrap_or(report.outcome.verdict.to_string())),
            escaped(&messages::result_line(report, Mode::Watch)),
            escaped(&messages::failure_block(report, Mode::Watch).join("\n")),
        );
    }
    let warnings = messages::warnings(report).into_iter();
    let mut words: Vec<String> = warnings.map(|words| format!("warning: {words}")).collect();
    if let Some(message) = reason.and_then(|reason| reason.message.as_deref()) {
        words.push("message:".to_owned());
        words.extend(lines(message));
    }
    let logs = messages::log_lines(report);
    if !logs.is_empty() {
        words.push("logs:".to_owned());
        words.extend(logs);
    }
    if !words.is_empty() {
        let _ = writeln!(
            xml,
            "<system-out>{}\n</system-out>",
            escaped(&words.join("\n"))
        );
    }
    xml.push_str("</testcase>\n");
    xml
}

/// The deployment is not what was asked for.
const FAILURE: Option<&str> = Some("failure");
/// It could not be judged.
const ERROR: Option<&str> = Some("error");

/// The element of a test case that did not pass.
fn result(verdict: Verdict) -> Option<&'static str> {
    match verdict {
        Verdict::Ready => None,
        Verdict::Failed
        | Verdict::Stalled
        | Verdict::Superseded
        | Verdict::Unchanged
        | Verdict::Infrastructure => FAILURE,
        Verdict::Unauthorized
        | Verdict::NotFound
        | Verdict::Unavailable
        | Verdict::Timeout
        | Verdict::CommandFailed(_)
        | Verdict::Interrupted(_) => ERROR,
    }
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

/// Text as XML 1.0 allows it, in an element or an attribute.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' => escaped.push(char),
            // XML 1.0 has no way to write these, not even as references.
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::output::samples::{agent, failed, ready};
    use crate::core::rollout::Interruption;

    #[test]
    fn the_document_of_a_failure_beside_a_success() {
        let mut bad = failed("bad", "Traceback:\nKeyError: '<a> & ]]>'");
        bad.logs = ["one", "Traceback:", "two \u{1b}[31m"]
            .map(str::to_owned)
            .into();
        let mut good = ready("good");
        good.outcome.revision_unchanged = true;
        assert_eq!(
            document(&Report::new(vec![good, bad])),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
<testsuite name="pipecat-rollout" tests="2" failures="1" errors="0" skipped="0" time="12.345" timestamp="1970-01-01T00:00:00Z">
<testcase classname="pipecat-rollout" name="good" time="12.345">
<system-out>warning: the old revision goes on serving, with the old code
</system-out>
</testcase>
<testcase classname="pipecat-rollout" name="bad" time="12.345">
<failure type="CrashLoopBackOff" message="bad: failed after 12.3s, deployment 59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3: its code crashes: CrashLoopBackOff">bad: failed after 12.3s (exit code 10)
  reason      its code crashes: CrashLoopBackOff
  phase       creating, for 10.2s
  deployment  59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3
  last exit   code 1: an error in the application
  restarts    3 restarts of 1 replica
  message
    | Traceback:
    | KeyError: &apos;&lt;a&gt; &amp; ]]&gt;&apos;
  logs
    | one
    | two
  next        fix the error shown above, and deploy again</failure>
<system-out>message:
Traceback:
KeyError: &apos;&lt;a&gt; &amp; ]]&gt;&apos;
logs:
one
two
</system-out>
</testcase>
</testsuite>
</testsuites>
"#
        );
    }

    #[test]
    fn every_verdict_has_its_result() {
        use Verdict as V;
        let of = |wanted| {
            let verdicts = V::WORST_FIRST.into_iter();
            verdicts
                .filter(|verdict| result(*verdict) == wanted)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(None), [V::Ready]);
        let codes: Vec<u8> = of(FAILURE).into_iter().map(V::exit_code).collect();
        assert_eq!(codes, [10, 11, 14, 12, 13]);
        let codes: Vec<u8> = of(ERROR).into_iter().map(V::exit_code).collect();
        assert_eq!(codes, [130, 143, 129, 1, 4, 3, 5, 124, 130]);
    }

    #[test]
    fn a_parser_reads_whatever_the_text_was() {
        let all: String = ('\u{0}'..='\u{ffff}').collect();
        for text in [
            all.as_str(),
            "]]>",
            "<!--",
            "&amp;",
            "</system-out>",
            "\u{1f44b}",
        ] {
            let mut report = failed(text, text);
            report.logs = vec![text.to_owned()];
            let report = Report::new(vec![
                report,
                agent("late", Verdict::Interrupted(Interruption::Terminate)),
            ]);
            let xml = document(&report);
            let parsed = roxmltree::Document::parse(&xml).expect(text);
            let named = |name| {
                parsed
                    .descendants()
                    .filter(move |node| node.has_tag_name(name))
            };
            assert_eq!(named("testcase").count(), 2);
            assert_eq!(named("failure").count(), 1);
            let error = named("error").next().expect("the interrupted one");
            assert_eq!(error.attribute("type"), Some("interrupted"));
        }
        assert_eq!(
            escaped("a\u{fffe}\u{8}b\u{1f44b}"),
            "a\u{fffd}\u{fffd}b\u{1f44b}"
        );
    }
}
