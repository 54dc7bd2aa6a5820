//! Foreign text that wants to be obeyed: crash messages, reasons and names, in every output.

use serde_json::json;

use crate::harness::Test;
use crate::runner::{Step, commands, names, outputs};
use crate::server::{Server, crashing, hostile, play, revision};
use crate::support::http::answer;

/// What is outside of fences, in Markdown.
fn outside_fences(page: &str) -> String {
    let mut fence = String::new();
    let mut outside = String::new();
    for line in page.lines() {
        let ticks = line.chars().take_while(|char| *char == '`').count();
        if !fence.is_empty() {
            if ticks >= fence.len() && line.trim_matches('`').trim().is_empty() {
                fence.clear();
            }
        } else if ticks >= 3 {
            fence = "`".repeat(ticks);
        } else {
            outside.push_str(line);
            outside.push('\n');
        }
    }
    assert_eq!(fence, "", "a fence is still open");
    outside
}

#[test]
fn a_hostile_crash_does_no_harm_in_any_output() {
    assert!(hostile().len() > 300_000);
    // Cut to what is shown, the rest of this one would begin with a command.
    let tail = "::error::owned";
    let code = format!(
        "{}{tail}{}",
        "a".repeat(300_000),
        "b".repeat(6 * 1024 - tail.len())
    );
    let answers = || {
        vec![
            revision("Creating", &json!({"state": "waiting", "reason": code})),
            crashing(4, &hostile()),
        ]
    };
    for (progress, output) in [
        ("auto", "text"),
        ("plain", "text"),
        ("json", "json"),
        ("gitlab", "text"),
        ("none", "json"),
    ] {
        let (test, step) = Step::around(Test::against(
            &play(answers()).url(),
            "wait my-agent --poll-interval 1ms --report-file r.json --junit j.xml --dotenv d.env -v",
        ));
        let left = test
            .arg(format!("--progress={progress}"))
            .arg(format!("--output={output}"))
            .afterwards(move || {
                let page = step.read("step_summary");
                let markup = outside_fences(&page);
                let tags: Vec<&str> = markup.lines().filter(|l| l.contains('<')).collect();
                let title = "<details><summary>The whole message</summary>";
                assert!(tags.is_empty() || tags == [title, "</details>"], "{tags:?}");
                assert!(page.len() < 20_000, "{}", page.len());
                assert_eq!(outputs(&step.read("set_output")).len(), 6);
                roxmltree::Document::parse(&step.read("j.xml")).unwrap();
                for file in ["step_summary", "set_output", "j.xml", "d.env", "r.json"] {
                    let written = step.read(file);
                    let obeyed = |char: char| char.is_control() && char != '\n';
                    let turned = |char: char| ('\u{202a}'..='\u{202e}').contains(&char);
                    assert!(
                        !written.contains(|char| obeyed(char) || turned(char)),
                        "{file}"
                    );
                    assert!(!written.contains("##["), "{file}");
                }
                for file in ["set_env", "add_path", "save_state"] {
                    assert_eq!(step.read(file), "", "{file}");
                }
            })
            .status(10)
            .stdout_starts("")
            .stderr_any()
            .run();
        let ours: &[&str] = match progress {
            "auto" => &["group", "endgroup", "error"],
            _ => &[],
        };
        assert_eq!(names(&commands(&left.stderr)), ours, "{progress}");
        assert_eq!(names(&commands(&left.stdout)), [""; 0], "{output}");
        assert!(left.stderr.contains("ModuleNotFoundError") || progress == "none");
    }
}

#[test]
fn hostile_logs_do_no_harm_either() {
    let logs: Vec<_> = hostile()
        .lines()
        .rev()
        .take(500)
        .map(|line| json!({"log": format!("{line}\n````\n::error::x"), "deploymentId": "new"}))
        .collect();
    let server = Server::answering(move |request| {
        if request.path.contains("/logs?") {
            return answer("200 OK", "", &json!({"logs": logs}).to_string());
        }
        revision("Failed", &json!(null))
    });
    let (test, step) = Step::around(Test::against(
        &server.url(),
        "wait my-agent --logs 500 --junit j.xml",
    ));
    let left = test
        .afterwards(move || {
            let page = step.read("step_summary");
            let markup = outside_fences(&page);
            let tags: Vec<&str> = markup.lines().filter(|l| l.contains('<')).collect();
            assert_eq!(tags, ["<details><summary>Logs</summary>", "</details>"]);
            assert!(page.contains("ModuleNotFoundError: No module named 'x'\n````\n"));
            let xml = step.read("j.xml");
            assert!(roxmltree::Document::parse(&xml).is_ok(), "{xml}");
            assert!(xml.contains("No module named &apos;x&apos;"));
        })
        .status(10)
        .stderr_any()
        .run();
    let found = commands(&left.stderr);
    assert_eq!(names(&found), ["group", "endgroup", "error"]);
    assert!(
        left.stderr.contains("    | ::error::x\n"),
        "{}",
        left.stderr
    );
}

#[test]
fn a_hostile_name_begins_no_line() {
    for name in [
        "::error::owned",
        "\u{a0}::stop-commands::x",
        "##[error]x",
        "a%0A::error::x",
    ] {
        for progress in ["github", "plain", "gitlab"] {
            let (test, step) = Step::around(Test::with(["wait", "-v"]));
            let left = test
                .arg(format!("--progress={progress}"))
                .arg(name)
                .afterwards(move || assert_eq!(commands(&step.read("step_summary")), []))
                .status(2)
                .stderr_any()
                .run();
            let ours: &[&str] = match progress {
                "github" => &["error"],
                _ => &[],
            };
            assert_eq!(names(&commands(&left.stderr)), ours, "{}", left.stderr);
        }
    }
}

#[test]
fn a_mistake_repeats_what_was_typed_but_no_command() {
    for typed in [
        "1\n::error::x",
        "##[error]x",
        "1\n  ::stop-commands::x",
        "\u{1b}[2J\r::x::",
    ] {
        for arguments in [
            vec!["wait", "a", "--timeout", typed],
            vec!["wait", "a", "--until", typed],
            vec!["wait", "a", "--simulate", typed],
            vec!["wait", typed],
            vec![typed],
        ] {
            let left = Test::with(arguments.clone()).status(2).stderr_any().run();
            let text = &left.stderr;
            assert_eq!(commands(text), [], "{arguments:?}");
            assert!(!text.contains(['\u{1b}', '\r']), "{text:?}");
            assert!(text.starts_with("error: "), "{text:?}");
        }
    }
}
