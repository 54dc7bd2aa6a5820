//! What a terminal shows beside its lines: a bar, links, a note at the end; and where it does not.
use serde_json::json;

use crate::harness::Test;
use crate::output::terminal;
use crate::server::{agent, crashing, details, play, revision};
use crate::support::process::Signal;

/// What a terminal gets that takes all of it.
const GHOSTTY: [(&str, &str); 2] = [("TERM", "xterm-ghostty"), ("TERM_PROGRAM", "ghostty")];

const BAR: &str = "\u{1b}]9;4;3;\u{1b}\\";
const ERROR: &str = "\u{1b}]9;4;2;\u{1b}\\";
const NO_BAR: &str = "\u{1b}]9;4;0;\u{1b}\\";

/// All that is drawn on a terminal with these variables.
fn drawn(mut test: Test, variables: &[(&str, &str)], status: i32) -> String {
    for (name, value) in variables {
        test = test.env(name, value);
    }
    let (slave, reader) = terminal();
    test.status(status).stdio_to(slave).run();
    reader.join().unwrap()
}

/// A rehearsal of 31 seconds, by its own clock.
fn long(switches: &str) -> Test {
    Test::new(&format!(
        "wait my-agent --simulate stuck --timeout 31s --speed 50 {switches}"
    ))
}

#[test]
fn a_bar_shows_that_it_goes_on_and_is_taken_away() {
    let server = play(vec![agent(false), agent(true)]);
    let drawn_of = |variables: &[(&str, &str)]| {
        drawn(Test::against(&server.url(), "wait my-agent"), variables, 0)
    };
    let text = drawn_of(&GHOSTTY);
    assert!(text.starts_with(BAR), "{text:?}");
    assert_eq!(text.matches(NO_BAR).count(), 1, "{text:?}");
    assert!(
        !text.rsplit(NO_BAR).next().unwrap().contains("\u{1b}]9;4;"),
        "{text:?}"
    );
    // It was over too soon for a note.
    assert!(!text.contains('\u{7}'), "{text:?}");
}

#[test]
fn a_bar_shows_what_goes_wrong() {
    let server = play(vec![
        revision(
            "Creating",
            &json!({"state": "waiting", "reason": "ErrImagePull"}),
        ),
        crashing(4, "boom"),
    ]);
    let text = drawn(Test::against(&server.url(), "wait my-agent"), &GHOSTTY, 10);
    let (before, after) = text.split_once(ERROR).unwrap();
    assert!(before.contains(BAR) && after.contains(NO_BAR), "{text:?}");
}

#[test]
fn a_bar_is_taken_away_when_a_signal_ends_it() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let server = play(vec![agent(false)]);
        let (slave, reader) = terminal();
        let mut run = Test::against(&server.url(), "wait my-agent").stdio_to(slave);
        for (name, value) in GHOSTTY {
            run = run.env(name, value);
        }
        let (process, _folder) = run.start();
        // With the second poll the first answer has been taken in.
        server.wait_for_requests(2);
        process.signal(signal);
        assert_eq!(process.end().code(), status);
        let text = reader.join().unwrap();
        assert!(text.contains(BAR) && text.contains(NO_BAR), "{text:?}");
        assert!(
            !text.rsplit(NO_BAR).next().unwrap().contains("\u{1b}]9;4;"),
            "{text:?}"
        );
    }
}

#[test]
fn run_has_a_bar_and_the_output_of_its_command_as_well() {
    let run = Test::new("run a --simulate rolling-update --speed 50 -- echo deployed");
    let text = drawn(run, &GHOSTTY, 0);
    assert!(
        text.starts_with(BAR) && text.contains("deployed"),
        "{text:?}"
    );
    assert!(text.contains(NO_BAR), "{text:?}");
}

#[test]
fn a_long_rollout_ends_with_a_note_in_the_terminals_own_way() {
    let osc9 = "\u{1b}]9;pipecat-rollout: my-agent: timed out after 3";
    let osc777 = "\u{1b}]777;notify;pipecat-rollout;my-agent: timed out after 3";
    let xterm = ("TERM", "xterm-256color");
    for (variables, note) in [
        (&GHOSTTY[..], osc9),
        (&[xterm, ("TERM_PROGRAM", "iTerm.app")], osc9),
        (&[("TERM", "xterm-kitty")], osc9),
        (&[xterm, ("VTE_VERSION", "7600")], osc777),
        (&[xterm, ("KONSOLE_VERSION", "240800")], osc777),
        (&[("TERM", "foot")], osc777),
        (&[xterm], ""),
        (&[xterm, ("WT_SESSION", "1")], ""),
        (&[xterm, ("TMUX", "/tmp/tmux"), ("VTE_VERSION", "7600")], ""),
    ] {
        let text = drawn(long(""), variables, 124);
        assert_eq!(text.matches('\u{7}').count(), 1, "{variables:?}: {text:?}");
        let noted = text.contains("]9;pipecat") || text.contains("]777;");
        assert_eq!(noted, !note.is_empty(), "{variables:?}: {text:?}");
        assert!(text.contains(note), "{variables:?}: {text:?}");
    }
}

#[test]
fn nobody_is_notified_who_does_not_want_it() {
    let text = drawn(long("--no-notify"), &GHOSTTY, 124);
    assert!(!text.contains('\u{7}') && text.contains(NO_BAR), "{text:?}");
    let wanted = [&GHOSTTY[..], &[("PIPECAT_ROLLOUT_NO_NOTIFY", "1")]].concat();
    let text = drawn(long(""), &wanted, 124);
    assert!(!text.contains('\u{7}') && text.contains(NO_BAR), "{text:?}");
}

#[test]
fn nothing_of_it_is_in_a_ci_a_pipe_a_dumb_terminal_or_other_progress() {
    let with = |more: &[(&'static str, &'static str)]| [&GHOSTTY[..], more].concat();
    for (switches, variables) in [
        ("", with(&[("CI", "true")])),
        ("--progress tty", with(&[("CI", "true")])),
        ("", with(&[("TERM", "dumb")])),
        ("--progress plain", with(&[])),
        ("--progress json", with(&[])),
        ("--progress none", with(&[])),
        ("--progress github", with(&[])),
        ("-q", with(&[])),
    ] {
        let text = drawn(long(switches), &variables, 124);
        assert!(
            !text.contains("\u{1b}]"),
            "{switches} {variables:?}: {text:?}"
        );
        assert!(
            !text.contains('\u{7}'),
            "{switches} {variables:?}: {text:?}"
        );
    }
    let mut piped = long("").status(124).stdout_any().stderr_any();
    for (name, value) in GHOSTTY {
        piped = piped.env(name, value);
    }
    let left = piped.run();
    assert!(!left.stderr.contains('\u{1b}'), "{}", left.stderr);
    let text = drawn(Test::new("status a --simulate stuck"), &GHOSTTY, 124);
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn our_own_addresses_are_links_where_the_terminal_takes_them() {
    let page = "https://docs.pipecat.ai/pipecat-cloud/fundamentals/error-codes#pcc_image_not_found";
    let link = format!("\u{1b}]8;;{page}\u{1b}\\{page}\u{1b}]8;;\u{1b}\\");
    for (variables, is_link) in [(&GHOSTTY[..], true), (&[("TERM", "xterm")], false)] {
        let server = play(vec![details(
            &json!({"errors": [{"code": "PCC_IMAGE_NOT_FOUND", "message": "no image"}]}),
        )]);
        let text = drawn(
            Test::against(&server.url(), "wait my-agent --pull-grace 1s"),
            variables,
            10,
        );
        assert!(text.contains(page), "{text:?}");
        assert_eq!(text.contains(&link), is_link, "{variables:?}: {text:?}");
    }
}
