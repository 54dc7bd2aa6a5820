//! `--version`, `--help`, completions and manual pages.

use std::fs;
use std::process::Command;

use regex_lite::Regex;

use crate::harness::Test;

const COMMANDS: [&str; 9] = [
    "wait-for-ready",
    "run",
    "status",
    "watch",
    "history",
    "simulate",
    "mcp",
    "completions",
    "man",
];

#[test]
fn the_version_names_the_commit() {
    let left = Test::new("--version")
        .stdout_starts("pipecat-rollout ")
        .run();
    let version = concat!(r"^pipecat-rollout ", env!("CARGO_PKG_VERSION"));
    // A source archive has no commit.
    let form = Regex::new(&format!(
        r"{version}( \([0-9a-f]{{10}} \d{{4}}-\d\d-\d\d\))?\n$"
    ))
    .unwrap();
    assert!(form.is_match(&left.stdout), "{}", left.stdout);
}

#[test]
fn help_teaches_examples_and_exit_codes_and_fits_the_screen() {
    for command in COMMANDS {
        let long = Test::new(&format!("{command} --help"))
            .stdout_any()
            .run()
            .stdout;
        let short = Test::new(&format!("{command} -h"))
            .stdout_any()
            .run()
            .stdout;
        for text in [&long, &short] {
            assert!(
                text.lines().all(|line| line.chars().count() <= 100),
                "{text}"
            );
        }
        let screen = Test::new(&format!("{command} -h")).env("COLUMNS", "80");
        let screen = screen.stdout_any().run().stdout;
        assert!(screen.lines().count() <= 40, "{screen}");
        assert!(!screen.contains("[env:"), "{screen}");
        if ["wait-for-ready", "run", "status"].contains(&command) {
            assert!(long.contains("Examples:\n  "), "{long}");
            assert!(long.contains("Exit codes:\n") && short.contains("Exit codes:\n"));
        }
    }
    // The longest word is a list of variables; no paragraph is broken where it need not be.
    let narrow = Test::new("watch --help").env("COLUMNS", "60");
    let narrow = narrow.stdout_any().run().stdout;
    assert!(
        narrow.lines().all(|line| line.chars().count() <= 60),
        "{narrow}"
    );
    assert!(
        narrow.contains("\nSIGTERM finishes deliveries and exits 0. A pass of --once\n"),
        "{narrow}"
    );
    for command in ["wait-for-ready", "run", "status", "watch"] {
        let help = Test::new(&format!("{command} --help"))
            .stdout_any()
            .run()
            .stdout;
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "PIPECAT_API_KEY, PCC_API_KEY or PIPECAT_CLOUD_API_KEY holds the key",
            "PIPECAT_TOKEN, or its login [env: PIPECAT_ROLLOUT_API_KEY_FILE]",
            "without it, PIPECAT_API_HOST [default: https://api.pipecat.daily.co/v1]",
        ] {
            assert!(help.contains(words), "{command}: {words}");
        }
    }
    let top = Test::new("--help").stdout_any().run().stdout;
    assert!(
        top.contains("Examples:\n") && top.contains("124 timeout"),
        "{top}"
    );
    for command in COMMANDS {
        assert!(top.contains(&format!("\n  {command} ")), "{command}");
    }
}

#[test]
fn every_shell_has_completions_and_bash_completes_with_them() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let left = Test::new(&format!("completions {shell}"))
            .stdout_any()
            .run();
        assert!(left.stdout.contains("wait-for-ready"), "{shell}");
    }
    let script = Test::new("completions bash").stdout_any().run().stdout;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("completions.bash");
    fs::write(&path, script).unwrap();
    let complete = |words: &str, at: usize| {
        let ask = format!(
            "source {}; COMP_WORDS=({words}); COMP_CWORD={at}; \
             _pipecat-rollout pipecat-rollout \"${{COMP_WORDS[{at}]}}\" \"${{COMP_WORDS[{at}-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            path.display()
        );
        let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("pipecat-rollout sta", 1), "status\n");
    assert_eq!(complete("pipecat-rollout status --outp", 2), "--output\n");
    assert_eq!(complete("pipecat-rollout status --output js", 3), "json\n");
    assert_eq!(
        complete("pipecat-rollout wait --simulate crash", 3),
        "crash-loop\n"
    );
    assert_eq!(
        complete("pipecat-rollout simulate crash", 2),
        "crash-loop\n"
    );
    assert_eq!(
        complete("pipecat-rollout history --verdict sta", 3),
        "stalled\n"
    );
    assert_eq!(complete("pipecat-rollout man sim", 2), "simulate\n");
}

#[test]
fn there_is_a_manual_page_of_each_command() {
    let page = Test::new("man").stdout_any().run().stdout;
    assert!(page.contains(".TH pipecat-rollout 1 "), "{page}");
    for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SUBCOMMANDS"] {
        assert!(page.contains(&format!(".SH {section}\n")), "{section}");
    }
    let program = concat!("pipecat-rollout ", env!("CARGO_PKG_VERSION"));
    for command in COMMANDS {
        let page = Test::new(&format!("man {command}"))
            .stdout_any()
            .run()
            .stdout;
        assert!(
            page.contains(&format!(".TH pipecat-rollout-{command} 1 ")),
            "{page}"
        );
        let head = page.lines().find(|line| line.starts_with(".TH "));
        assert!(head.unwrap().contains(program), "{page}");
    }
    let page = Test::new("man watch").stdout_any().run().stdout;
    for part in [
        ".SH \"EXAMPLES\"\n.nf\n\\&pipecat\\-rollout watch",
        ".SH NOTES\n\\&Endpoints, on 127.0.0.1:9464",
        "\n.PP\n\\&SIGTERM finishes deliveries",
        "\n\\&PIPECAT_ROLLOUT_LISTEN: \\-\\-listen\n",
        "\n\\&PIPECAT_TOKEN, PIPECAT_ORG: ",
        ".SH \"FILES\"\n.nf\n\\&./pcc\\-deploy.toml: ",
    ] {
        assert!(page.contains(part), "{part}\n{page}");
    }
    let page = Test::new("man status").stdout_any().run().stdout;
    assert!(
        page.contains(".SH \"EXIT STATUS\"\n.nf\n\\&0 ready   3 unauthorized"),
        "{page}"
    );
    let left = Test::new("man frobnicate").status(2).stderr_any().run();
    let words = "error: invalid value 'frobnicate' for '[COMMAND]'\n  [possible values: wait-for-ready, run,";
    assert!(left.stderr.starts_with(words), "{}", left.stderr);
}

#[test]
fn completions_into_a_closed_pipe_are_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    Test::new("completions zsh").stdout_to(writer).run();
}
