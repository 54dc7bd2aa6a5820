//! What GitHub's runner obeys: groups in the log, and annotations on the run.
//!
//! The runner reads commands on stdout and stderr alike: `::name properties::data` at the start of
//! a line, and the older `##[name]` anywhere in one.

use crate::core::messages::{self, Mode, Severity};
use crate::core::rollout::AgentReport;
use crate::core::text::one_line;

/// Opens a group.
#[must_use]
pub fn group(title: &str) -> String {
    format!("::group::{}", data(&one_line(title)))
}

/// Closes the group.
pub(super) const END_GROUP: &str = "::endgroup::";

/// What the run shows of an agent at its head; nothing of one that is simply ready.
///
/// A run shows ten annotations of a step: one an agent is what there is room for.
#[must_use]
pub fn annotation(report: &AgentReport, mode: Mode) -> Option<String> {
    let level = match messages::verdict_severity(report.outcome.verdict) {
        Severity::Success if messages::warnings(report).is_empty() => return None,
        Severity::Success | Severity::Info | Severity::Warning => "warning",
        Severity::Error => "error",
    };
    let title = messages::ending_words(report, mode);
    let mut words = Vec::new();
    match &report.outcome.reason {
        Some(reason) => {
            words.push(one_line(&reason.summary));
            // A traceback says at its end what it is about.
            let mut message = messages::message_lines(report).into_iter();
            words.extend(message.rfind(|line| !line.trim().is_empty()));
        }
        None => words.push(one_line(&messages::result_line(report, mode))),
    }
    words
        .extend(messages::next_step(report, mode).map(|next| format!("next: {}", one_line(&next))));
    Some(command(level, &title, &words.join("\n")))
}

/// An error that kept the command from a verdict, as an annotation.
#[must_use]
pub fn error(line: &str) -> String {
    command("error", "pipecat-rollout", line)
}

fn command(name: &str, title: &str, text: &str) -> String {
    format!("::{name} title={}::{}", property(title), data(text))
}

/// Text as the data of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Text as a property of a command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::output::samples::{agent, failed, ready};
    use crate::core::rollout::{Interruption, Verdict};

    fn of(report: &AgentReport) -> String {
        annotation(report, Mode::Watch).unwrap_or_default()
    }

    #[test]
    fn an_annotation_an_agent_and_none_where_all_is_well() {
        assert_eq!(of(&ready("a")), "");
        let mut unchanged = ready("a");
        unchanged.outcome.revision_unchanged = true;
        assert_eq!(
            of(&unchanged),
            "::warning title=a%3A ready after 12.3s::a: ready after 12.3s, deployment \
             59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3; the old revision goes on serving, with the old code"
        );
        assert_eq!(
            of(&failed("a", "Traceback:\n  x\nKeyError: 'x'\n\n")),
            "::error title=a%3A failed after 12.3s::its code crashes: CrashLoopBackOff%0A\
             KeyError: 'x'%0Anext: fix the error shown above, and deploy again"
        );
        for verdict in Verdict::WORST_FIRST {
            let level = match verdict {
                Verdict::Ready => "",
                Verdict::Interrupted(_) => "::warning title=",
                _ => "::error title=",
            };
            let shown = of(&agent("a", verdict));
            assert!(
                shown.starts_with(level) && shown.is_empty() == level.is_empty(),
                "{shown}"
            );
        }
    }

    #[test]
    fn foreign_text_ends_neither_the_property_nor_the_line() {
        let name = "a::b,c=d%0A::error::x\r\n::e##[error]";
        let shown = of(&agent(name, Verdict::Interrupted(Interruption::Interrupt)));
        assert!(shown.starts_with(
            "::warning title=a%3A%3Ab%2Cc=d%250A%3A%3Aerror%3A%3Ax %3A%3Ae## [error]%3A interrupted after 12.3s::"
        ), "{shown}");
        assert_eq!(shown.lines().count(), 1);
        let shown = of(&failed("a", "boom\r\n::error::x %0A##[error]y"));
        assert!(
            shown.contains("%0A::error::x %250A## [error]y%0Anext: "),
            "{shown}"
        );
        assert_eq!(group("a\n::error::b%"), "::group::a ::error::b%25");
        assert_eq!(
            error("50% of\nit"),
            "::error title=pipecat-rollout::50%25 of%0Ait"
        );
    }
}
