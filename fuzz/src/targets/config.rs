//! What people write: durations, the vendor CLI's file and the sidecar's own. What cannot be meant is
//! refused in a line.

use std::time::Duration;

use pipecat_rollout::fuzzing::written::{agent_of_deploy_file, check_watch_file, parse_duration};

use crate::input::text;
use crate::oracle::assert_harmless;

/// The longest that can be written.
const MAX: Duration = Duration::from_hours(24 * 3650);

pub(super) fn run(data: &[u8]) {
    let written = text(data);
    duration(&written);
    deploy_file(&written);
    watch_file(&written);
}

fn duration(written: &str) {
    match parse_duration(written) {
        Ok(meant) => {
            assert!(meant <= MAX);
            let plain = whole_units(meant);
            assert_eq!(parse_duration(&plain), Ok(meant), "{plain}");
            let bare = written.trim();
            assert!(!bare.is_empty() && !bare.starts_with('-'));
            if bare.len() < 8 && bare.bytes().all(|byte| byte.is_ascii_digit()) {
                let seconds = bare.parse().expect("a small number");
                assert_eq!(meant, Duration::from_secs(seconds));
            }
        }
        Err(words) => {
            assert!(!words.is_empty());
            assert_harmless(&words);
        }
    }
}

/// A duration in whole units, without months and years, of which each reader has its own idea.
fn whole_units(duration: Duration) -> String {
    format!("{}s {}ns", duration.as_secs(), duration.subsec_nanos())
}

fn deploy_file(written: &str) {
    match agent_of_deploy_file(written) {
        Ok(name) => {
            let name = name.as_str();
            assert!(!name.is_empty() && !matches!(name, "." | ".."));
            assert!(!name.contains(char::is_control), "{name:?}");
        }
        Err(error) => assert_eq!(error.to_string().lines().count(), 1, "{error}"),
    }
}

fn watch_file(written: &str) {
    for problem in check_watch_file(written).err().into_iter().flatten() {
        assert_harmless(&problem.what);
        assert_eq!(problem.what.lines().count(), 1, "{}", problem.what);
        let lines = written.split('\n').count();
        assert!(
            problem.line.is_none_or(|line| (1..=lines).contains(&line)),
            "line {:?} of {lines}",
            problem.line
        );
    }
}
