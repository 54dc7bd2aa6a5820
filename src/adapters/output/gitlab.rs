//! What GitLab's job log obeys: sections that can be collapsed.

use std::time::Duration;

use jiff::Timestamp;

use crate::core::text::one_line;

/// Opens a section at this time.
#[must_use]
pub fn section(began: Timestamp, title: &str) -> String {
    format!(
        "\u{1b}[0Ksection_start:{}:{}\r\u{1b}[0K{}",
        began.as_second(),
        name(began),
        one_line(title)
    )
}

/// Closes the section that was opened at this time, so much later.
#[must_use]
pub fn end_section(began: Timestamp, lasted: Duration) -> String {
    let seconds = i64::try_from(lasted.as_secs()).unwrap_or(i64::MAX);
    format!(
        "\u{1b}[0Ksection_end:{}:{}\r\u{1b}[0K",
        began.as_second().saturating_add(seconds),
        name(began)
    )
}

/// The name of a section: the same at both of its ends, and another for every run of a job.
fn name(began: Timestamp) -> String {
    format!("pipecat_rollout_{}", began.as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_has_the_same_name_at_both_ends() {
        let began = Timestamp::from_millisecond(1_700_000_000_123).expect("a time");
        assert_eq!(
            section(began, "Rollout of a\u{1b}[0K\r\nb"),
            "\u{1b}[0Ksection_start:1700000000:pipecat_rollout_1700000000123\r\u{1b}[0KRollout of a b"
        );
        assert_eq!(
            end_section(began, Duration::from_millis(2900)),
            "\u{1b}[0Ksection_end:1700000002:pipecat_rollout_1700000000123\r\u{1b}[0K"
        );
    }
}
