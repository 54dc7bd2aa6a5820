//! The page that a step on GitHub Actions shows: verdicts, phases, and what the code said, in Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::rollout::{AgentReport, Report, next_step, whole_millis};
use crate::core::text::{lines, one_line, short_duration};

/// The most that GitHub takes of the summary of one step, in bytes; what is larger is lost whole.
const LIMIT: usize = 1024 * 1024;

/// Room for the line that says what was left out.
const NOTE: usize = 256;

/// The most phases that are shown of one agent; flapping makes many.
const SHOWN_PHASES: usize = 50;

/// The page, which together with the bytes that are `there` already stays within the limit.
///
/// What does not fit is left out, an agent at a time, and it says so.
#[must_use]
pub fn page(report: &Report, there: usize) -> String {
    let room = LIMIT.saturating_sub(there).saturating_sub(NOTE);
    let mut page = "## Rollout\n\n\
         | agent | verdict | exit code | deployment | after | reason |\n\
         |---|---|---|---|---|---|\n"
        .to_owned();
    if page.len() > room {
        return String::new();
    }
    let mut left_out = add(&mut page, &report.agents, row, room);
    left_out = left_out.max(add(&mut page, &report.agents, section, room));
    if left_out > 0 {
        let _ = write!(
            page,
            "\n{left_out} of {} agents did not fit here; the JSON report has them all.\n",
            report.agents.len()
        );
    }
    page
}

/// Adds what there is of each agent while there is room, and gives for how many there was none.
fn add(
    page: &mut String,
    agents: &[AgentReport],
    part: fn(&AgentReport) -> String,
    room: usize,
) -> usize {
    for (added, agent) in agents.iter().enumerate() {
        let part = part(agent);
        if page.len() + part.len() > room {
            return agents.len() - added;
        }
        page.push_str(&part);
    }
    0
}

/// An agent's row of the table of verdicts.
fn row(report: &AgentReport) -> String {
    let reason = match &report.outcome.reason {
        Some(reason) => plain(&reason.summary),
        None if report.outcome.revision_unchanged => {
            "the old revision goes on serving, with the old code".to_owned()
        }
        None => String::new(),
    };
    format!(
        "| {} | **{}** | {} | {} | {} | {reason} |\n",
        plain(&report.agent),
        report.outcome.verdict,
        report.exit_code,
        report
            .outcome
            .deployment_id
            .as_deref()
            .map_or(String::new(), plain),
        short_duration(report.outcome.elapsed),
    )
}

/// What there is to say of an agent: what to do next, its phases, its message and its logs.
fn section(report: &AgentReport) -> String {
    let mut section = format!("\n### {}\n", plain(&report.agent));
    if let Some(next) = next_step(report) {
        let _ = write!(section, "\nNext: {}\n", plain(&next));
    }
    section.push_str(&timeline(report));
    if let Some(message) = report
        .outcome
        .reason
        .as_ref()
        .and_then(|r| r.message.as_deref())
    {
        section.push_str(&folded("Message", message));
    }
    if !report.logs.is_empty() {
        section.push_str(&folded("Logs", &report.logs.join("\n")));
    }
    section
}

/// The phases, when each began and how long it lasted.
fn timeline(report: &AgentReport) -> String {
    let phases = &report.outcome.phases;
    if phases.is_empty() {
        return String::new();
    }
    let mut table = "\n| phase | began after | lasted |\n|---|---|---|\n".to_owned();
    let ends = phases.iter().skip(1).map(|next| next.at_ms);
    let ends = ends.chain([whole_millis(report.outcome.elapsed)]);
    let left_out = phases.len().saturating_sub(SHOWN_PHASES);
    if left_out > 0 {
        let _ = writeln!(table, "| ({left_out} earlier ones) | | |");
    }
    for (entry, end) in phases.iter().zip(ends).skip(left_out) {
        let _ = writeln!(
            table,
            "| {} | {} | {} |",
            entry.phase,
            short_duration(Duration::from_millis(entry.at_ms)),
            short_duration(Duration::from_millis(end.saturating_sub(entry.at_ms))),
        );
    }
    table
}

/// A text that opens on a click, in a fence that it cannot close.
fn folded(title: &str, text: &str) -> String {
    let text = lines(text).join("\n");
    let longest = text.split(|char| char != '`').map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    format!(
        "\n<details><summary>{title}</summary>\n\n\
         {fence}text\n{text}\n{fence}\n\n\
         </details>\n"
    )
}

/// Foreign text as one line that Markdown takes as it is: no markup, no table cell, no link.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for char in one_line(text).chars() {
        match char {
            ',' | ':' | ';' | '(' | ')' | '-' | '%' | '?' => plain.push(char),
            char if char.is_ascii_punctuation() => {
                let _ = write!(plain, "&#{};", u32::from(char));
            }
            char => plain.push(char),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::output::samples::{agent, failed, ready};
    use crate::core::rollout::{Phase, PhaseEntry, Verdict};

    #[test]
    fn the_page_of_a_failure_beside_a_success() {
        let mut bad = failed("bad", "Traceback:\n```\nKeyError: 'x'");
        bad.logs = vec!["one".to_owned(), "two".to_owned()];
        assert_eq!(
            page(&Report::new(vec![ready("good"), bad]), 0),
            "## Rollout

| agent | verdict | exit code | deployment | after | reason |
|---|---|---|---|---|---|
| good | **ready** | 0 | 59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3 | 12.3s |  |
| bad | **failed** | 10 | 59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3 | 12.3s | its code crashes: CrashLoopBackOff |

### good

| phase | began after | lasted |
|---|---|---|
| reconciling | 0.0s | 2.1s |
| creating | 2.1s | 10.2s |

### bad

Next: read the message above; the same image fails the same way on your own machine

| phase | began after | lasted |
|---|---|---|
| reconciling | 0.0s | 2.1s |
| creating | 2.1s | 10.2s |

<details><summary>Message</summary>

````text
Traceback:
```
KeyError: 'x'
````

</details>

<details><summary>Logs</summary>

```text
one
two
```

</details>
"
        );
    }

    #[test]
    fn a_name_or_reason_is_no_markup() {
        assert_eq!(
            plain("a|b <img src=x> [l](u) `c` **d** @e #1 ~~f~~ \\| $g$ &lt; h_i!"),
            "a&#124;b &#60;img src&#61;x&#62; &#91;l&#93;(u) &#96;c&#96; &#42;&#42;d&#42;&#42; \
             &#64;e &#35;1 &#126;&#126;f&#126;&#126; &#92;&#124; &#36;g&#36; &#38;lt; h&#95;i&#33;"
        );
        assert_eq!(
            plain("http://x.y www.x.y"),
            "http:&#47;&#47;x&#46;y www&#46;x&#46;y"
        );
        assert_eq!(plain("a\n\n## b\r| c"), "a &#35;&#35; b &#124; c");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        for ticks in [0, 1, 2, 3, 4, 100] {
            let text = format!("a\n{}\nb", "`".repeat(ticks));
            let fence = "`".repeat(ticks.max(2) + 1);
            let expected = format!("\n{fence}text\n{text}\n{fence}\n");
            assert!(folded("Message", &text).contains(&expected), "{ticks}");
        }
    }

    #[test]
    fn it_stays_within_the_limit_and_says_what_it_left_out() {
        let message = "x\n".repeat(20_000);
        let many = Report::new(vec![failed("a", &message); 200]);
        for there in [0, LIMIT / 2, LIMIT - 20_000] {
            let page = page(&many, there);
            assert!(there + page.len() <= LIMIT, "{there}: {}", page.len());
            assert!(
                page.ends_with(" of 200 agents did not fit here; the JSON report has them all.\n")
            );
            assert_eq!(
                page.matches("<details>").count(),
                page.matches("</details>").count()
            );
        }
        assert_eq!(page(&many, LIMIT), "");
        let rows_alone = Report::new(vec![agent(&"n".repeat(8000), Verdict::Timeout); 200]);
        let cut = page(&rows_alone, 0);
        assert!(cut.len() <= LIMIT && cut.contains("agents did not fit"));
    }

    #[test]
    fn of_many_phases_the_last_are_shown() {
        let entry = |at_ms| PhaseEntry {
            phase: if at_ms % 2 == 0 {
                Phase::Active
            } else {
                Phase::Validating
            },
            at_ms,
        };
        let mut report = ready("a");
        report.outcome.phases = (0..60).map(entry).collect();
        let table = timeline(&report);
        assert_eq!(table.lines().count(), 3 + 1 + SHOWN_PHASES);
        assert!(table.contains("| (10 earlier ones) | | |\n"), "{table}");
        assert!(
            table.ends_with("| validating | 0.0s | 12.2s |\n"),
            "{table}"
        );
    }
}
