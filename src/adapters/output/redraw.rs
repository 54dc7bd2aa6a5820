//! A table in the place of the one before, as much of it as the terminal has room for.

use std::io;

use super::{print, tty};
use crate::core::text::fit;

/// What puts the cursor into the first place, and takes away all that is drawn.
const CLEARED: &str = "\u{1b}[H\u{1b}[2J";

/// Draws the lines of a table on stdout, and below it one more that is always there.
pub(crate) fn redraw(table: &[String], last: &str) -> io::Result<()> {
    let (rows, columns) = tty::size(io::stdout());
    print::out(&frame(table, last, rows, columns))
}

fn frame(table: &[String], last: &str, rows: usize, columns: usize) -> String {
    // A line for the cursor, the last one, and a blank before it.
    let room = rows.saturating_sub(3).max(1);
    let mut shown: Vec<String> = table.iter().take(room).cloned().collect();
    let left_out = table.len().saturating_sub(room);
    if left_out > 0 {
        // The line that says so takes the place of one more.
        shown.pop();
        shown.push(format!("... and {} more", left_out + 1));
    }
    shown.extend([String::new(), last.to_owned()]);
    let lines = shown.iter().map(|line| fit(line, columns.max(1)));
    CLEARED.to_owned() + &lines.map(|line| line + "\n").collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_fits_the_terminal_and_says_what_it_leaves_out() {
        let table: Vec<String> = ["HEAD", "a", "b", "c"].map(str::to_owned).into();
        let drawn = |rows, columns| frame(&table, "4 agents: ready", rows, columns);
        assert_eq!(
            drawn(24, 80),
            format!("{CLEARED}HEAD\na\nb\nc\n\n4 agents: ready\n")
        );
        assert_eq!(
            drawn(6, 10),
            format!("{CLEARED}HEAD\na\n... and 2 \n\n4 agents: \n")
        );
        assert!(drawn(0, 0).lines().count() <= 4);
    }
}
