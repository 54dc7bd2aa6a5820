//! The page that a step on GitHub Actions shows, in Markdown: how it ended with each agent, why and
//! what to do next, then the verdicts as a table, the phases and the logs.

use std::fmt::Write as _;
use std::time::Duration;

use crate::core::messages::{self, Mode};
use crate::core::rollout::{AgentReport, Report, Verdict, whole_millis};
use crate::core::text::{one_line, short_duration};

/// The most that GitHub takes of the summary of one step, in bytes; what is larger is lost whole.
const LIMIT: usize = 1024 * 1024;

/// Room for the line that says what was left out.
const NOTE: usize = 256;

/// The most phases that are shown of one agent; flapping makes many.
const SHOWN_PHASES: usize = 50;

/// The most lines of a message that are shown at once; the rest opens on a click.
const SHOWN_LINES: usize = 15;

/// The page, which together with the bytes that are `there` already stays within the limit.
///
/// What does not fit is left out, an agent at a time, and it says so.
#[must_use]
pub fn page(report: &Report, there: usize) -> String {
    let room = LIMIT.saturating_sub(there).saturating_sub(NOTE);
    let mut page = String::new();
    let mut left_out = add(&mut page, &report.agents, ending, room);
    let head = "\n| agent | verdict | exit code | deployment | image | region | after |\n\
         |---|---|---|---|---|---|---|\n";
    if page.len() + head.len() <= room {
        page.push_str(head);
        left_out = left_out.max(add(&mut page, &report.agents, row, room));
        left_out = left_out.max(add(&mut page, &report.agents, details, room));
    } else {
        left_out = report.agents.len();
    }
    if page.is_empty() {
        return page;
    }
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

/// How it ended with an agent, why, and what to do next.
fn ending(report: &AgentReport) -> String {
    let warnings = messages::warnings(report);
    let mark = match report.outcome.verdict {
        Verdict::Ready if warnings.is_empty() => '✅',
        Verdict::Ready | Verdict::Interrupted(_) => '⚠',
        _ => '❌',
    };
    let (agent, verdict) = messages::ending_parts(report, Mode::Watch);
    let mut ending = format!("### {mark} {} {verdict}", plain(&agent));
    if let Some(reason) = &report.outcome.reason {
        let _ = write!(ending, ": {}", plain(&reason.summary));
    }
    ending.push('\n');
    for warning in warnings {
        let _ = write!(ending, "\n**Warning:** {}\n", plain(&warning));
    }
    let message = messages::message_lines(report);
    let shown = message[message.len().saturating_sub(SHOWN_LINES)..].join("\n");
    if !shown.is_empty() {
        let _ = write!(ending, "\n{}", fenced(&shown));
    }
    if let Some(next) = messages::next_step(report, Mode::Watch) {
        let _ = write!(ending, "\n**Next:** {}\n", linked(&next));
    }
    ending.push('\n');
    ending
}

/// An agent's row of the table of verdicts.
fn row(report: &AgentReport) -> String {
    let outcome = &report.outcome;
    let known = |text: &Option<String>| text.as_deref().map_or(String::new(), plain);
    format!(
        "| {} | **{}** | {} | {} | {} | {} | {} |\n",
        plain(&report.agent),
        outcome.verdict,
        report.exit_code,
        known(&outcome.deployment_id),
        known(&outcome.image),
        known(&outcome.region),
        short_duration(outcome.elapsed),
    )
}

/// The phases of an agent, and the whole of its message and its logs, which open on a click.
fn details(report: &AgentReport) -> String {
    let mut details = timeline(report);
    let message = messages::message_lines(report);
    if message.len() > SHOWN_LINES {
        details.push_str(&folded("The whole message", &fenced(&message.join("\n"))));
    }
    let logs = messages::log_lines(report);
    if !logs.is_empty() {
        details.push_str(&folded("Logs", &fenced(&logs.join("\n"))));
    }
    if details.is_empty() {
        return details;
    }
    format!("\n#### {}\n{details}", plain(&report.agent))
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

/// Markdown that opens on a click.
fn folded(title: &str, markdown: &str) -> String {
    format!("\n<details><summary>{title}</summary>\n\n{markdown}\n</details>\n")
}

/// Harmless text in a fence that it cannot close.
fn fenced(text: &str) -> String {
    let longest = text.split(|char| char != '`').map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    format!("{fence}text\n{text}\n{fence}\n")
}

/// Words of ours as Markdown, a link at their end as a link.
fn linked(words: &str) -> String {
    match words.rsplit_once(' ') {
        Some((words, link)) if link.starts_with("https://docs.pipecat.ai/") => {
            format!("{} <{link}>", plain(words))
        }
        _ => plain(words),
    }
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
        bad.logs = ["one", "two", "KeyError: 'x'"].map(str::to_owned).into();
        bad.outcome.image = Some("example.com/bot:1".to_owned());
        let mut good = ready("good");
        good.outcome.region = Some("us-west".to_owned());
        assert_eq!(
            page(&Report::new(vec![good, bad]), 0),
            "### ✅ good ready after 12.3s

### ❌ bad failed after 12.3s: its code crashes: CrashLoopBackOff

````text
Traceback:
```
KeyError: 'x'
````

**Next:** fix the error shown above, and deploy again


| agent | verdict | exit code | deployment | image | region | after |
|---|---|---|---|---|---|---|
| good | **ready** | 0 | 59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3 |  | us-west | 12.3s |
| bad | **failed** | 10 | 59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3 | example&#46;com&#47;bot:1 |  | 12.3s |

#### good

| phase | began after | lasted |
|---|---|---|
| reconciling | 0.0s | 2.1s |
| creating | 2.1s | 10.2s |

#### bad

| phase | began after | lasted |
|---|---|---|
| reconciling | 0.0s | 2.1s |
| creating | 2.1s | 10.2s |

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
    fn logs_that_the_message_has_already_are_no_section() {
        let mut report = failed("a", "KeyError: 'x'");
        report.logs = vec!["KeyError: 'x'".to_owned()];
        let page = page(&Report::new(vec![report]), 0);
        assert!(!page.contains("Logs"), "{page}");
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
    fn a_long_message_shows_its_end_and_opens_whole() {
        let message: Vec<String> = (1..=20).map(|line| format!("line {line}")).collect();
        let page = page(&Report::new(vec![failed("a", &message.join("\n"))]), 0);
        assert!(page.contains("```text\nline 6\nline 7\n"), "{page}");
        assert!(page.contains("<summary>The whole message</summary>\n\n```text\nline 1\n"));
    }

    #[test]
    fn a_hint_links_to_its_page_and_a_warning_is_shown() {
        let mut report = failed("a", "x");
        let reason = report.outcome.reason.as_mut().expect("it failed");
        reason.code = "PCC_IMAGE_NOT_FOUND".to_owned();
        let page = page(&Report::new(vec![report]), 0);
        let link = "<https://docs.pipecat.ai/pipecat-cloud/fundamentals/error-codes#pcc_image_not_found>\n";
        assert!(page.contains(link), "{page}");
        let mut old = ready("a");
        old.outcome.revision_unchanged = true;
        let page = super::page(&Report::new(vec![old]), 0);
        let expected = "### ⚠ a ready after 12.3s\n\n**Warning:** the old revision goes on";
        assert!(page.starts_with(expected), "{page}");
    }

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        for ticks in [0, 1, 2, 3, 4, 100] {
            let text = format!("a\n{}\nb", "`".repeat(ticks));
            let fence = "`".repeat(ticks.max(2) + 1);
            let expected = format!("{fence}text\n{text}\n{fence}\n");
            assert_eq!(fenced(&text), expected, "{ticks}");
        }
    }

    #[test]
    fn it_stays_within_the_limit_and_says_what_it_left_out() {
        let message = "x\n".repeat(4_200);
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
