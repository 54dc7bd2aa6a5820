//! Rollouts as CSV, as RFC 4180 has it: for spreadsheets and databases.

use crate::core::fleet::FinishedRollout;
use crate::core::rollout::Verdict;
use crate::core::text::one_line;

/// The names of the columns.
pub(crate) const HEAD: &str = "finishedAt,agent,region,verdict,reason,summary,elapsedMs,observedLate,startedAt,\
                               deploymentId,previousDeploymentId,deploymentCreatedAt,image,commit,rolledBack,\
                               revisionUnchanged,id\r\n";

/// The names of the columns of what was not delivered.
pub(crate) const DEAD_LETTERS: &str = "at,sink,agent,event,kind,why\r\n";

/// A rollout as a row.
pub(crate) fn row(rollout: &FinishedRollout) -> String {
    let data = &rollout.data;
    let reason = data.reason.as_ref();
    let cells = [
        rollout.finished_at.to_string(),
        data.agent.clone(),
        text(data.region.as_ref()),
        text(data.verdict.map(Verdict::as_str)),
        text(reason.map(|reason| &reason.code)),
        text(reason.map(|reason| &reason.summary)),
        text(data.elapsed_ms),
        data.observed_late.to_string(),
        text(data.started_at),
        text(data.deployment_id.as_ref()),
        text(data.previous_deployment_id.as_ref()),
        text(data.deployment_created_at),
        text(data.image.as_ref()),
        text(data.commit.as_ref()),
        data.rolled_back.to_string(),
        data.revision_unchanged.to_string(),
        rollout.id.clone(),
    ];
    line(&cells.each_ref().map(String::as_str))
}

/// Cells as a row.
pub(crate) fn line(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    cells.join(",") + "\r\n"
}

fn text(value: Option<impl ToString>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A cell. What a terminal would obey is left out, and what a spreadsheet would take for a formula becomes text.
fn quoted(cell: &str) -> String {
    let cell = one_line(cell);
    let is_formula = cell.starts_with(['=', '+', '-', '@']);
    let cell = if is_formula { format!("'{cell}") } else { cell };
    if cell.contains([',', '"']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::fleet::test_events;

    #[test]
    fn a_row_has_as_many_cells_as_the_head_whatever_a_reason_says() {
        let [mut failed, _] = test_events(jiff::Timestamp::UNIX_EPOCH);
        let row_of = |stored: &crate::core::fleet::StoredEvent| row(&stored.clone().into());
        let head = HEAD.matches(',').count();
        failed.event.data.reason = None;
        assert_eq!(row_of(&failed).matches(',').count(), head);
        failed.event.data.agent = "a,b \"c\"\r\n\u{1b}[31md".to_owned();
        failed.event.data.image = Some("=cmd|' /C calc'!A0".to_owned());
        let row = row_of(&failed);
        assert!(
            row.starts_with(
                "1970-01-01T00:00:00Z,\"a,b \"\"c\"\" d\",us-west,failed,,,40000,false,"
            ),
            "{row}"
        );
        assert!(row.contains(",'=cmd|' /C calc'!A0,"), "{row}");
        assert!(row.ends_with(",test-0-1\r\n"), "{row}");
    }
}
