//! What the switches and the file come to, and what is said of what cannot be meant.

use std::fs;
use std::path::Path;

use clap::Parser;
use tempfile::TempDir;

use super::check::check_store;
use super::*;
use crate::app::error::chain;

/// The example in the project, which a test reads with and without its comment marks.
const EXAMPLE: &str = include_str!("../../../../config/pipecat-rollout.toml");

#[derive(Parser)]
struct Typed {
    #[command(flatten)]
    args: WatchArgs,
}

/// A folder with a configuration file.
struct Place(TempDir);

impl Place {
    fn with(text: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("watch.toml", text);
        place
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    /// The plan of the file and these switches.
    fn plan(&self, switches: &[&str]) -> Result<WatchPlan, Vec<String>> {
        let path = self.path("watch.toml");
        plan(&[&["--config", &path], switches].concat())
            .map_err(|problems| self.without_folder(&problems))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn without_folder(&self, problems: &[anyhow::Error]) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        problems
            .iter()
            .map(|problem| chain(problem.as_ref()).replace(&folder, ""))
            .collect()
    }
}

fn plan(switches: &[&str]) -> Result<WatchPlan, Vec<anyhow::Error>> {
    let typed = Typed::try_parse_from([&["watch"], switches].concat()).unwrap();
    watch_plan(&typed.args)
}

fn problems(text: &str) -> Vec<String> {
    Place::with(text).plan(&[]).unwrap_err()
}

#[test]
fn values_that_cannot_be_meant_are_said_with_their_line() {
    for (text, line, what) in [
        (
            "listen = \"host.s3cret:9464\"",
            1,
            "listen: no host but localhost has a name here: it is an address and a port",
        ),
        ("store = \"\"", 1, "store: it is empty; a path is due"),
        (
            "interval = \"250years\"",
            1,
            "interval: months and years differ in length: write days",
        ),
        ("include = [\"a[\"]", 1, "include: \"a[\" is no pattern"),
        ("\nexclude = [\"a[\"]", 2, "exclude: \"a[\" is no pattern"),
        (
            "agents = [\"a/b\"]",
            1,
            "agents: \"a/b\" cannot be an agent name: ",
        ),
        (
            "include = \"b\"\nagents = \"a\"",
            2,
            "agents: include, exclude and regions choose among all agents; leave them out",
        ),
    ] {
        let shown = problems(text);
        let expected = format!("watch.toml, line {line}: {what}");
        assert_eq!(shown.len(), 1, "{shown:?}");
        assert!(shown[0].starts_with(&expected), "{shown:?}");
        assert!(!shown[0].contains("s3cret"), "{shown:?}");
    }
}

#[test]
fn what_cannot_be_meant_is_said_with_its_line_and_what_was_meant() {
    let no_brackets = "each sink is a table of its own with two brackets: [[sink]]";
    for (text, line, what) in [
        (
            "interval = \"15s\"\nintervall = 3",
            2,
            "unknown key `intervall`; did you mean `interval`?",
        ),
        ("sinks = []", 1, "unknown key `sinks`; did you mean `sink`?"),
        (
            "\nmax-rps = 0",
            2,
            "max-rps: it must be a whole number, at least 1",
        ),
        ("interval = 0", 1, "interval: it must be longer than zero"),
        (
            "interval = \"1M\"",
            1,
            "interval: minutes are written with a small letter: 1m",
        ),
        (
            "unready-for = true",
            1,
            "unready-for: a time is written like 90s, 10m, 1h 30m, or as seconds: 90",
        ),
        (
            "delivery-timeout = [1]",
            1,
            "delivery-timeout: a single text or number is due",
        ),
        (
            "# a comment\n\ninterval = 15s",
            3,
            "interval: a text needs quotes, like interval = \"...\"",
        ),
        (
            "store = /var/lib/s3cret",
            1,
            "store: a text needs quotes, like store = \"...\"",
        ),
        (
            "listen = \"here\"",
            1,
            "listen: it is an address and a port, like 127.0.0.1:9464, localhost:9464 or :9464 (on \
             every address of this machine), or off",
        ),
        (
            "exclude = 3",
            1,
            "exclude: a list of texts is due, like [\"a\", \"b\"]",
        ),
        (
            "api-key = \"sk_s3cret\"",
            1,
            "the API key does not belong into this file; write it into a file of its own, and that \
             file's path here: api-key-file = \"/run/secrets/pipecat-api-key\"",
        ),
        ("[sink]\nname = \"a\"", 1, no_brackets),
        ("sink = [\"s3cret\"]", 1, no_brackets),
        (
            "webhook = \"https://s3cret\"",
            1,
            "unknown key `webhook`; known here: ",
        ),
    ] {
        let problems = problems(text);
        let expected = format!("watch.toml, line {line}: {what}");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(&expected), "{problems:?}");
        assert!(!problems[0].contains("s3cret"), "{problems:?}");
    }
    for text in [
        "[[sink]\n",
        "interval = \"15s\n",
        "interval =\n",
        "a b = 1\n",
    ] {
        let no_toml = problems(&format!("\n{text}"));
        assert!(
            no_toml[0].starts_with("watch.toml, line 2: "),
            "{no_toml:?}"
        );
        assert!(!no_toml[0].contains("needs quotes"), "{no_toml:?}");
    }
    let missing = plan(&["--config", "/no/such.toml"]).unwrap_err();
    let missing = chain(missing[0].as_ref());
    assert!(
        missing.starts_with("--config: cannot read /no/such.toml: No such file"),
        "{missing}"
    );
}

#[test]
fn each_kind_of_sink_has_keys_of_its_own_and_all_problems_are_shown() {
    let text = r#"
[[sink]]
kind = "webhook"
url = "https://example.com/s3cret"

[[sink]]
name = "a"
kind = "webhok"

[[sink]]
name = "b"
kind = "slack"
url = "https://example.com/s3cret"
command = ["s3cret"]

[[sink]]
name = "c"
kind = "webhook"
evnts = ["rollout.*"]

[[sink]]
name = "d"
kind = "exec"
command = "page --now"

[[sink]]
name = "e"
kind = "exec"

[[sink]]
name = "f"
kind = "webhook"
url = "https://example.com/s3cret"
timeout = 0
"#;
    assert_eq!(
        problems(text),
        [
            "watch.toml, line 2: sink: missing key `name`",
            "watch.toml, line 8: sink \"a\": kind: unknown word `webhok`; did you mean `webhook`?",
            "watch.toml, line 14: sink \"b\": unknown key `command`; known here: url, url-file, name, \
             kind, timeout, events, verdicts, agents, regions, severities, incidents, group-for, fallback",
            "watch.toml, line 19: sink \"c\": unknown key `evnts`; did you mean `events`?",
            "watch.toml, line 24: sink \"d\": command: invalid type: text, expected a list, like [\"a\", \"b\"]",
            "watch.toml, line 26: sink \"e\": missing key `command`",
            "watch.toml, line 34: sink \"f\": timeout: it must be longer than zero",
        ]
    );
    let text = r#"interval = "5s"
include = "a["

[[sink]]
name = " "
kind = "webhook"
url = "https://example.com"

[[sink]]
name = "a"
url = "http://example.com/s3cret"
kind = "webhook"

[[sink]]
name = "b"
kind = "webhook"
url = "https://example.com"
events = ["rollout.done"]

[[sink]]
name = "c"
kind = "webhook"
verdicts = "redy"
url = "https://example.com"

[[sink]]
name = "d"
kind = "exec"
command = ["/no/such/program", "s3cret"]
timeout = "5m"

[[sink]]
name = "e"
kind = "slack"

[[sink]]
name = "f"
kind = "webhook"
url = "https://example.com"
timeout = "301s"
"#;
    let shown = problems(text);
    let starts = [
        "watch.toml, line 5: sink \" \": its name is empty",
        "watch.toml, line 11: sink \"a\": url: plain http to example.com would send the events in the open",
        "watch.toml, line 18: sink \"b\": events: \"rollout.done\" fits no event",
        "watch.toml, line 23: sink \"c\": verdicts: no rollout ends with \"redy\"",
        "watch.toml, line 29: sink \"d\": command: /no/such/program: No such file",
        "watch.toml, line 34: sink \"e\": url: it needs a url or a url-file",
        "watch.toml, line 40: sink \"f\": timeout: 5m is the most",
        "watch.toml, line 2: include: \"a[\" is no pattern",
    ];
    for (shown, start) in shown.iter().zip(starts) {
        assert!(shown.starts_with(start), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }
    assert_eq!(shown.len(), starts.len(), "{shown:?}");
    let twice = "[[sink]]\nname = \"a\"\nkind = \"exec\"\ncommand = [\"sh\"]\n".repeat(2);
    assert_eq!(
        problems(&twice),
        ["watch.toml, line 6: sink \"a\": another sink has this name; the store knows them by it"]
    );
}

#[test]
fn addresses_that_cannot_be_meant_are_named_with_their_place() {
    let due =
        "it is an https address with a place for the agent: https://example.com/agents/{{agent}}";
    let page = "it must be the address of the page in a browser, like https://rollouts.example.com or http://host:9464";
    for (keys, what) in [
        ("dashboard-url = \"https://{{agent}}.example.com/\"", due),
        ("dashboard-url = \"https://x{{agent}}\"", due),
        ("dashboard-url = \"http://x/{{agent}}\"", due),
        ("dashboard-url = \"https://x/\"", due),
        ("public-url = \"https://*\"", page),
        (
            "public-url = \"https://user:SECRETPW@x\"",
            "it must not hold a user's name or password",
        ),
    ] {
        let (key, _) = keys.split_once(' ').unwrap();
        let shown = problems(&format!("\n{keys}\n"));
        assert_eq!(shown, [format!("watch.toml, line 2: {key}: {what}")]);
    }
    let (name, text) = ("--public-url", "https://user:SECRETPW@x");
    let shown = plan(&[name, text]).unwrap_err();
    let why = "--public-url: it must not hold a user's name or password";
    assert_eq!(shown[0].to_string(), why);
}

#[test]
fn a_mute_that_cannot_be_meant_is_named() {
    let due = "a time with its zone is due, like \"2026-12-01T08:00:00Z\"";
    let late = "that is later than any time that is known; 9999-12-30T00:00:00Z is late enough";
    let one = |until: &str| format!("{{ agents = [\"a\"], until = \"{until}\", reason = \"b\" }}");
    let good = one("2999-01-01T00:00:00Z");
    for (until, why) in [("9999-12-31T00:00:00Z", late), ("9999-12-31", due)] {
        let shown = problems(&format!("muted = [\n{good},\n{},\n]\n", one(until)));
        let expected = format!("watch.toml, line 3: muted, entry 2: until: {why}");
        assert_eq!(shown, [expected]);
    }
    let shown = problems(&format!("muted = [{}]\n", one("")));
    assert_eq!(shown, [format!("watch.toml, line 1: muted: until: {due}")]);
}

#[test]
fn what_sinks_cannot_do_together_is_named_with_its_line() {
    let sink = "[[sink]]\nname = \"a\"\nkind = \"slack\"\nurl = \"https://example.com\"\n";
    let heartbeat = sink.replace("slack", "heartbeat");
    let incidents_in_groups = "group-for = \"30s\"\nincidents = true";
    let second = format!("fallback = \"b\"\n{}", sink.replace("\"a\"", "\"b\""));
    for (sink, keys, what) in [
        (sink, "fallback = \"c\"", "fallback: there is no sink \"c\""),
        (sink, "fallback = \"a\"", "fallback: it is the sink itself"),
        (
            sink,
            &format!("{second}fallback = \"a\""),
            "fallback: \"b\" has a fallback of its own; an event takes one step at most",
        ),
        (
            sink,
            &format!("fallback = \"b\"\n{}", heartbeat.replace("\"a\"", "\"b\"")),
            "fallback: a heartbeat sends no events",
        ),
        (
            sink,
            incidents_in_groups,
            "group-for: a group opens and closes nothing; it cannot be had with incidents or on-close",
        ),
        (sink, "group-for = \"61m\"", "group-for: 1h is the most"),
        (
            sink,
            "regions = \"a[\"",
            "regions: \"a[\" is no pattern: * stands for any characters, ? for any one, and a ! before it excludes",
        ),
        (
            &heartbeat,
            "events = [\"rollout.*\"]",
            "events: a heartbeat sends no events",
        ),
    ] {
        let shown = problems(&format!("{sink}{keys}"));
        let expected = format!("watch.toml, line 5: sink \"a\": {what}");
        assert_eq!(shown[0], expected, "{keys}");
    }
}

#[test]
fn switches_come_before_the_file_and_the_file_before_the_defaults() {
    let place = Place::with(
        "interval = 7\nmax-rps = 3\nunready-for = \"2m\"\nexclude = \"*-canary\"\nlisten = \":1\"\n",
    );
    let filed = place
        .plan(&["--interval", "5s", "--listen", "localhost:2"])
        .unwrap();
    assert_eq!(filed.rules.interval, Duration::from_secs(5));
    assert_eq!(filed.rules.max_rps.get(), 3);
    assert_eq!(filed.listen, Listen::At(([127, 0, 0, 1], 2).into()));
    assert_eq!(filed.rules.health_interval, HEALTH_INTERVAL);
    let typed = place.plan(&["--webhook", "http://example.com/s3cret"]);
    let typed = typed.unwrap_err();
    assert!(
        typed[0].starts_with("--webhook: url: plain http to example.com"),
        "{typed:?}"
    );
    let place = Place::with("[[sink]]\nname = \"webhook\"\nkind = \"exec\"\ncommand = [\"sh\"]\n");
    assert_eq!(
        place
            .plan(&["--webhook", "https://example.com"])
            .unwrap_err(),
        ["--webhook: another sink has this name; the store knows them by it"]
    );
    let once = plan(&["--once"]).unwrap();
    assert_eq!((once.listen, once.rules.mode), (Listen::Off, Mode::Once));
}

#[test]
fn the_same_arguments_read_the_file_as_it_is_now() {
    let place = Place::with("interval = 7\n");
    let path = place.path("watch.toml");
    let typed = Typed::try_parse_from(["watch", "--config", &path]).unwrap();
    assert_eq!(watch_plan(&typed.args).unwrap().rules.interval.as_secs(), 7);
    place.write(
        "watch.toml",
        "interval = 8\n[[sink]]\nname = \"a\"\nkind = \"exec\"\ncommand = [\"sh\"]\n",
    );
    let plan = watch_plan(&typed.args).unwrap();
    assert_eq!((plan.rules.interval.as_secs(), plan.sinks.len()), (8, 1));
    place.write("watch.toml", "interval = 0\n");
    assert!(watch_plan(&typed.args).is_err());
}

/// The example shows the defaults, as text without the marks of comments.
#[test]
fn the_example_is_true_and_shows_the_defaults() {
    let keys = EXAMPLE.lines().map(|line| match line.strip_prefix("# ") {
        Some(key)
            if key.contains(" = ")
                && !key.starts_with("secret-file")
                && !key.starts_with("url-file")
                && !key.contains("secret") =>
        {
            key
        }
        Some("[[sink]]") => "[[sink]]",
        _ => line,
    });
    let text = keys.collect::<Vec<_>>().join("\n");
    let text = text.replace(
        "kind = \"slack\"",
        "kind = \"slack\"\nurl = \"https://example.com\"",
    );
    let text = text.replace("/usr/local/bin/page", "/bin/sh");
    let shown = Place::with(&text).plan(&[]).unwrap();
    let default = Place::with(EXAMPLE).plan(&[]).unwrap();
    assert_eq!((default.sinks.len(), shown.sinks.len()), (0, 5));
    assert_eq!(shown.url, default.url);
    assert_eq!(shown.listen, default.listen);
    let times = |plan: &WatchPlan| {
        let rules = &plan.rules;
        [
            rules.interval,
            rules.health_interval,
            rules.unready_for,
            rules.limits.timeout,
            plan.history_retention,
            plan.delivery_timeout,
        ]
    };
    assert_eq!(times(&shown), times(&default));
    assert_eq!(shown.rules.max_rps, default.rules.max_rps);
}

#[test]
fn files_that_would_fail_at_the_start_are_found() {
    let place = Place::with("");
    place.write("key", "sk_1\n");
    place.write("empty", "");
    let check = |switches: &[(&str, &str)]| {
        let paths: Vec<String> = switches.iter().map(|(_, name)| place.path(name)).collect();
        let names = switches.iter().map(|(switch, _)| *switch);
        let switches: Vec<&str> = names
            .zip(&paths)
            .flat_map(|(name, path)| [name, path.as_str()])
            .collect();
        let plan = place.plan(&switches).unwrap();
        check_files(&plan).map_err(|problems| place.without_folder(&problems))
    };
    assert_eq!(
        check(&[
            ("--api-key-file", "key"),
            ("--store", "new/folder/store.db")
        ]),
        Ok(())
    );
    assert!(
        !Path::new(&place.path("new")).exists(),
        "nothing is changed"
    );
    let problems = check(&[
        ("--api-key-file", "none"),
        ("--ca-file", "empty"),
        ("--store", "key/store.db"),
    ]);
    let problems = problems.unwrap_err();
    for (problem, start) in problems.iter().zip([
        "--api-key-file: cannot read none: No such file",
        "--ca-file: cannot use the CA file empty: it holds no certificate",
        "--store: key/store.db cannot be opened or made: ",
    ]) {
        assert!(problem.starts_with(start), "{problem}");
    }
    assert_eq!(problems.len(), 3, "{problems:?}");
    let key = check(&[("--store", "key")]).unwrap_err();
    assert!(
        key[0].starts_with("the store key is not of this program: "),
        "{key:?}"
    );
    let device = check_store(Path::new("/dev/null")).unwrap_err();
    assert_eq!(device.to_string(), "it is no file");
    let folder = check(&[("--store", "")]).unwrap_err();
    assert!(
        folder[0].contains("cannot be opened or made: Is a directory"),
        "{folder:?}"
    );
}

#[test]
fn files_that_are_filed_are_named_with_their_line() {
    let keys = ["api-key-file", "ca-file", "http-token-file", "store"];
    let place = Place::with("");
    let nowhere = place.path("watch.toml/nowhere");
    let text = keys.map(|key| format!("{key} = {nowhere:?}\n")).concat();
    place.write("watch.toml", &text);
    let check = |switches: &[&str]| {
        let problems = check_files(&place.plan(switches).unwrap()).unwrap_err();
        place.without_folder(&problems)
    };
    let problems = check(&[]);
    assert_eq!(problems.len(), keys.len(), "{problems:?}");
    for ((problem, key), line) in problems.iter().zip(keys).zip(1..) {
        let start = format!("watch.toml, line {line}: {key}: ");
        assert!(problem.starts_with(&start), "{problem}");
    }
    let typed = check(&["--ca-file", &nowhere]);
    assert!(typed[1].starts_with("--ca-file: "), "{typed:?}");
}

#[test]
fn agents_that_are_typed_come_before_what_is_filed() {
    let place = Place::with("include = \"b-*\"\n");
    let plan = place.plan(&["a"]).unwrap();
    assert!(matches!(plan.rules.watched, Watched::Named(_)));
    assert!(place.plan(&["a", "--exclude", "b"]).is_err());
}

#[test]
fn no_agent_decides_whose_dashboard_is_linked() {
    for (url, is_taken) in [
        ("https://example.com/agents/{{agent}}", true),
        ("https://example.com/?agent={{agent}}", true),
        ("https://{{agent}}.example.com/", false),
        ("https:///{{agent}}/x", false),
        ("https://example.com{{agent}}", false),
        ("http://example.com/{{agent}}", false),
    ] {
        let made = plan(&["--dashboard-url", url]);
        assert_eq!(made.is_ok(), is_taken, "{url}");
    }
}
