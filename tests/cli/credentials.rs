//! What the API is asked with: where it is searched and in which order, whose agents it asks for, what
//! is said of it, and that it is shown nowhere.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Mutex;

use serde_json::json;

use crate::harness::Test;
use crate::server::{Server, agent};
use crate::support::http::{Request, answer};
use crate::support::{KEY, SECRET};

/// An address at which nobody listens: whatever is refused must be refused before any request.
const NOWHERE: &str = "http://127.0.0.1:9/v1";

const ACCESS_TOKEN: &str = "pcc_pat_5ecret_of_the_cli";
const LOGIN: &str = "login_5ecret_of_the_cli";
const RENEWAL: &str = "renewal_5ecret_of_the_cli";

/// The login file of the vendor's CLI, with these lines beside the token.
fn login(lines: &str) -> String {
    format!("token = \"{LOGIN}\"\nrefresh_token = \"{RENEWAL}\"\n{lines}\n")
}

/// A run with a login file of this content, which nobody else can read.
fn logged_in(test: Test, content: impl AsRef<[u8]>) -> Test {
    let file = test.folder().join("login.toml");
    fs::write(&file, content).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    test.env("PIPECAT_CONFIG_PATH", "login.toml")
}

/// The platform as the vendor's CLI asks it: details in `body`, the first organization the default.
fn platform() -> Server {
    Server::answering(|request| {
        let path = request.path.as_str();
        if path == "/v1/organizations" {
            let list = json!({"organizations": [{"name": "first", "verboseName": "First"}, {"name": "second"}]});
            return answer("200 OK", "", &list.to_string());
        }
        let answered = agent(true);
        if path.starts_with("/v1/agents/") {
            return answered;
        }
        assert!(path.contains("/services/my-agent"), "{path}");
        let (_, details) = answered.split_once("\r\n\r\n").unwrap();
        answer("200 OK", "", &format!("{{\"body\": {details}}}"))
    })
}

/// What was asked: each path, and with which secret.
fn asked(server: &Server) -> Vec<(String, String)> {
    let requests = server.requests();
    let asked = requests.iter();
    asked
        .map(|request| (request.path.clone(), bearer(request).to_owned()))
        .collect()
}

/// The secret that a request bears.
fn bearer(request: &Request) -> &str {
    let header = request.header("authorization").unwrap();
    header.strip_prefix("Bearer ").unwrap()
}

fn check(server: &Server) -> Test {
    Test::new("wait my-agent")
        .env("PIPECAT_ROLLOUT_PROGRESS", "none")
        .env("PIPECAT_API_URL", server.url())
}

const READY: &str = "my-agent: ready after TIME, deployment new\n";

#[test]
fn each_source_is_used_when_none_before_it_gives_anything() {
    let sources: [fn(Test) -> Test; 6] = [
        |test| {
            test.file("key", "sk_filed_5ecret\n")
                .arg("--api-key-file=key")
        },
        |test| test.env("PIPECAT_API_KEY", "1st_5ecret"),
        |test| test.env("PCC_API_KEY", "sk_2nd_5ecret"),
        |test| test.env("PIPECAT_CLOUD_API_KEY", "sk_3rd_5ecret"),
        |test| test.env("PIPECAT_TOKEN", ACCESS_TOKEN),
        |test| logged_in(test, login("org = \"acme\"")),
    ];
    let expected = [
        ("/v1/agents/my-agent", "sk_filed_5ecret"),
        ("/v1/agents/my-agent", "1st_5ecret"),
        ("/v1/agents/my-agent", "sk_2nd_5ecret"),
        ("/v1/agents/my-agent", "sk_3rd_5ecret"),
        // The organization is the one of the login, as the vendor's CLI has it.
        ("/v1/organizations/acme/services/my-agent", ACCESS_TOKEN),
        ("/v1/organizations/acme/services/my-agent", LOGIN),
    ];
    for (first, (path, secret)) in expected.into_iter().enumerate() {
        let server = platform();
        let given = sources[first..].iter();
        given
            .fold(check(&server), |test, give| give(test))
            .stdout(READY)
            .run();
        assert_eq!(asked(&server), [(path.to_owned(), secret.to_owned())]);
    }
    // What is set but empty gives nothing.
    let server = platform();
    check(&server)
        .env("PIPECAT_API_KEY", "")
        .env("PCC_API_KEY", KEY)
        .stdout(READY)
        .run();
    assert_eq!(asked(&server)[0].1, KEY);
}

#[test]
fn a_secret_is_known_by_its_form_wherever_it_is() {
    let server = platform();
    check(&server).env("PIPECAT_TOKEN", KEY).stdout(READY).run();
    check(&server)
        .env("PIPECAT_API_KEY", ACCESS_TOKEN)
        .env("PIPECAT_ORG", "acme")
        .stdout(READY)
        .run();
    let test = check(&server)
        .file("key", ACCESS_TOKEN)
        .arg("--api-key-file=key");
    test.env("PIPECAT_ORG", "acme").stdout(READY).run();
    let of_acme = "/v1/organizations/acme/services/my-agent";
    let expected = [
        ("/v1/agents/my-agent", KEY),
        (of_acme, ACCESS_TOKEN),
        (of_acme, ACCESS_TOKEN),
    ];
    let expected = expected.map(|(path, secret)| (path.to_owned(), secret.to_owned()));
    assert_eq!(asked(&server), expected);
}

#[test]
fn a_public_key_is_ignored_with_a_warning() {
    let server = platform();
    let test = check(&server).env("PIPECAT_API_KEY", "pk_5ecret_of_a_page");
    logged_in(test, login("org = \"acme\""))
        .arg("--progress=plain")
        .stdout(READY)
        .stderr_any()
        .run();
    let test = check(&server).env("PIPECAT_API_KEY", "pk_5ecret_of_a_page");
    let left = test
        .env("PCC_API_KEY", KEY)
        .arg("--progress=plain")
        .stdout(READY)
        .stderr_any()
        .run();
    assert!(
        left.stderr.contains(
            "PIPECAT_API_KEY holds a public key (pk_…) and is passed over; PCC_API_KEY is used\n"
        ),
        "{}",
        left.stderr
    );
    assert_eq!(asked(&server)[0].1, LOGIN);
    assert_eq!(asked(&server)[1].1, KEY);
}

#[test]
fn the_organization_is_that_of_the_variable_then_of_the_file_then_the_first_one() {
    let asked_for = |give: &dyn Fn(Test) -> Test| {
        let server = platform();
        give(check(&server)).stdout(READY).run();
        let paths = asked(&server).into_iter().map(|(path, _)| path);
        paths.collect::<Vec<_>>().join(" ")
    };
    let both = |test: Test| logged_in(test, login("org = \"filed\"")).env("PIPECAT_ORG", "my org");
    assert_eq!(
        asked_for(&both),
        "/v1/organizations/my%20org/services/my-agent"
    );
    let filed = |test: Test| logged_in(test, login("org = \"filed\""));
    assert_eq!(
        asked_for(&filed),
        "/v1/organizations/filed/services/my-agent"
    );
    let first = "/v1/organizations /v1/organizations/first/services/my-agent";
    assert_eq!(asked_for(&|test| logged_in(test, login(""))), first);
    let token = |test: Test| test.env("PIPECAT_TOKEN", LOGIN).env("PIPECAT_ORG", "");
    assert_eq!(asked_for(&token), first);
}

#[test]
fn the_first_organization_is_asked_for_once() {
    let server = Server::answering(|request| {
        if request.path.ends_with("/organizations") {
            return answer("200 OK", "", r#"{"organizations": [{"name": "first"}]}"#);
        }
        if request.path.contains("/logs?") {
            return answer("200 OK", "", r#"{"logs": [{"log": "what it logged"}]}"#);
        }
        let details = json!({"body": {
            "name": "my-agent", "desiredDeploymentId": "new", "reconciledDeploymentId": "new",
            "currentRevision": {"deploymentID": "new", "phase": "Failed"},
        }});
        answer("200 OK", "", &details.to_string())
    });
    let left = check(&server)
        .env("PIPECAT_TOKEN", LOGIN)
        .arg("--output=json")
        .status(10)
        .stdout_any()
        .run();
    assert!(left.stdout.contains("what it logged"), "{}", left.stdout);
    let paths: Vec<String> = asked(&server).into_iter().map(|(path, _)| path).collect();
    let service = "/v1/organizations/first/services/my-agent";
    let logs = format!("{service}/logs?deploymentId=new&limit=25&order=desc");
    assert_eq!(paths, ["/v1/organizations", service, &logs]);
}

/// What a refusal says, which these are asked with.
fn refused(status: &'static str, give: impl FnOnce(Test) -> Test) -> String {
    let server = Server::answering(move |_| answer(status, "", ""));
    let test = Test::new("status my-agent --progress none").env("PIPECAT_API_URL", server.url());
    let left = give(test).status(3).stdout_any().run();
    let line = left.stdout.trim_end();
    line.strip_prefix("my-agent: unauthorized: ")
        .unwrap()
        .to_owned()
}

#[test]
fn a_refusal_says_what_was_asked_with_and_where_it_was_found() {
    let key = |test: Test| test.env("PCC_API_KEY", KEY);
    assert_eq!(
        refused("401 Unauthorized", key),
        "the API answered 401 Unauthorized; asked with the private API key in PCC_API_KEY"
    );
    let file = |test: Test| test.file("key", KEY).arg("--api-key-file=key");
    assert_eq!(
        refused("403 Forbidden", file),
        "the API answered 403 Forbidden; asked with the private API key in key (--api-key-file)"
    );
    let token = |test: Test| {
        test.env("PIPECAT_TOKEN", ACCESS_TOKEN)
            .env("PIPECAT_ORG", "acme")
    };
    assert_eq!(
        refused("401 Unauthorized", token),
        "the API answered 401 Unauthorized; asked with the personal access token in PIPECAT_TOKEN, for \
         organization acme"
    );
    let valid = |test: Test| logged_in(test, login("token_expires_at = 4102444800.5"));
    assert_eq!(
        refused("401 Unauthorized", valid),
        "the API answered 401 Unauthorized; asked with the login in login.toml; if it has expired, renew it: \
         pipecat cloud auth login"
    );
    let undated = |test: Test| logged_in(test, login("org = \"acme\""));
    assert_eq!(
        refused("401 Unauthorized", undated),
        "the API answered 401 Unauthorized; asked with the login in login.toml, for organization acme; if it has \
         expired, renew it: pipecat cloud auth login"
    );
    assert_eq!(
        refused("403 Forbidden", undated),
        "the API answered 403 Forbidden; asked with the login in login.toml, for organization acme"
    );
    let expired = |test: Test| logged_in(test, login("org = \"acme\"\ntoken_expires_at = 1.7e9"));
    assert_eq!(
        refused("401 Unauthorized", expired),
        "the API answered 401 Unauthorized; asked with the login in login.toml, for organization acme, which \
         expired at 2023-11-14T22:13:20Z; renew it: pipecat cloud auth login"
    );
    // The vendor's CLI stores a token that does not expire so.
    let stored =
        format!("token = \"{ACCESS_TOKEN}\"\nrefresh_token = \"\"\ntoken_expires_at = 0\n");
    assert_eq!(
        refused("401 Unauthorized", |test| logged_in(test, stored)),
        "the API answered 401 Unauthorized; asked with the personal access token in login.toml"
    );
}

#[test]
fn an_agent_that_is_not_there_may_be_in_another_organization() {
    let server = Server::answering(|request| {
        if request.path.ends_with("/organizations") {
            return answer("200 OK", "", r#"{"organizations": [{"name": "first"}]}"#);
        }
        answer("404 Not Found", "", r#"{"error": "Service not found"}"#)
    });
    let left = Test::new("status my-agent --output json --progress none")
        .env("PIPECAT_API_URL", server.url())
        .env("PIPECAT_TOKEN", LOGIN)
        .status(4)
        .stdout_any()
        .run();
    let words = "Service not found; asked with the login in PIPECAT_TOKEN, for organization first";
    assert!(left.stdout.contains(words), "{}", left.stdout);
}

#[test]
fn an_account_without_an_organization_is_no_agent_that_is_not_there() {
    for (status, body, words) in [
        (
            "200 OK",
            r#"{"organizations": []}"#,
            "the account has no organization (asked with the login in PIPECAT_TOKEN); name one in PIPECAT_ORG, \
             or log in again: pipecat cloud auth login",
        ),
        (
            "404 Not Found",
            r#"{"error": "no such path", "code": "404"}"#,
            "the list of organizations was not found; name yours in PIPECAT_ORG: the API answered 404 Not Found",
        ),
        (
            "200 OK",
            "{}",
            "the body is not the JSON of a list of organizations: it starts with {}",
        ),
    ] {
        let server = Server::answering(move |_| answer(status, "", body));
        let left = Test::new("status my-agent --progress none")
            .env("PIPECAT_API_URL", server.url())
            .env("PIPECAT_TOKEN", LOGIN)
            .status(5)
            .stdout_any()
            .run();
        assert!(left.stdout.contains(words), "{}", left.stdout);
    }
}

#[test]
fn a_login_that_is_renewed_meanwhile_is_used() {
    let renewed = "renewed_5ecret_of_the_cli";
    let file: &'static Mutex<Option<std::path::PathBuf>> = Box::leak(Box::default());
    let server = Server::answering(move |request| {
        if bearer(request) == renewed {
            let details = r#"{"body": {"name": "my-agent", "ready": true,
                "desiredDeploymentId": "new", "reconciledDeploymentId": "new"}}"#;
            return answer("200 OK", "", details);
        }
        let file = file.lock().unwrap().take().unwrap();
        fs::write(file, login("org = \"acme\"").replace(LOGIN, renewed)).unwrap();
        answer("401 Unauthorized", "", "")
    });
    let test = logged_in(check(&server), login("org = \"acme\""));
    *file.lock().unwrap() = Some(test.folder().join("login.toml"));
    test.stdout(READY).run();
    let secrets: Vec<String> = asked(&server)
        .into_iter()
        .map(|(_, secret)| secret)
        .collect();
    assert_eq!(secrets, [LOGIN, renewed]);
}

#[test]
fn nothing_to_ask_with_is_found_out_before_any_request() {
    let without = || {
        Test::new("wait a")
            .env("PIPECAT_API_URL", NOWHERE)
            .status(2)
    };
    let line = "error: no API key; put a private API key into PIPECAT_API_KEY, or its file into --api-key-file, \
                or log in: pipecat cloud auth login\n";
    without().stderr(line).run();
    without()
        .env("PIPECAT_CONFIG_PATH", "missing.toml")
        .env("HOME", "/nonexistent")
        .stderr(&line.replace(
            "key;",
            "key (PIPECAT_CONFIG_PATH names missing.toml, which does not exist);",
        ))
        .run();
    let empty = || without().env("PIPECAT_API_KEY", "");
    empty()
        .stderr("error: no API key: PIPECAT_API_KEY is set but empty; does the pipeline have access to the secret?\n")
        .run();
    empty()
        .env("PIPECAT_CONFIG_PATH", "missing.toml")
        .stderr(
            "error: no API key (PIPECAT_CONFIG_PATH names missing.toml, which does not exist): PIPECAT_API_KEY is \
             set but empty; does the pipeline have access to the secret?\n",
        )
        .run();
    without()
        .env("PIPECAT_TOKEN", " ")
        .stderr("error: no API key: PIPECAT_TOKEN is set but empty; does the pipeline have access to the secret?\n")
        .run();
    without()
        .env("PIPECAT_API_KEY", "pk_5ecret")
        .env("PCC_API_KEY", "")
        .stderr("error: PIPECAT_API_KEY holds a public key (pk_…), which only starts sessions; a private API key (sk_…) is needed: Dashboard, Settings, API Keys\n")
        .run();
    without()
        .file("key", "pk_5ecret\n")
        .arg("--api-key-file=key")
        .env("PIPECAT_API_KEY", KEY)
        .stderr("error: --api-key-file key holds a public key (pk_…), which only starts sessions; a private API key (sk_…) is needed: Dashboard, Settings, API Keys\n")
        .run();
}

#[test]
fn what_cannot_be_a_secret_is_refused_without_being_repeated() {
    let without = || {
        Test::new("wait a")
            .env("PIPECAT_API_URL", NOWHERE)
            .status(2)
    };
    without()
        .env("PIPECAT_API_KEY", format!("{KEY}\n"))
        .stderr("error: the private API key in PIPECAT_API_KEY holds a line break; give it alone, on one line\n")
        .run();
    without()
        .env("PCC_API_KEY", format!("\"{KEY}\" "))
        .stderr("error: the private API key in PCC_API_KEY holds a character that none has; copy it again, without quotes or blanks\n")
        .run();
    for (secret, kind) in [
        (KEY, "private API key"),
        (ACCESS_TOKEN, "personal access token"),
    ] {
        for quote in ['"', '\''] {
            without()
                .env("PIPECAT_API_KEY", format!("{quote}{secret}{quote}"))
                .stderr(&format!(
                    "error: the {kind} in PIPECAT_API_KEY has quotes around it, which are part of its value; leave them out\n"
                ))
                .run();
        }
    }
    without()
        .file("key", format!("\"{KEY}\"\n"))
        .arg("--api-key-file=key")
        .stderr("error: the private API key in key (--api-key-file) has quotes around it, which are part of its value; leave them out\n")
        .run();
    without()
        .env("PIPECAT_TOKEN", format!("{ACCESS_TOKEN}\n"))
        .stderr("error: the personal access token in PIPECAT_TOKEN holds a line break; give it alone, on one line\n")
        .run();
    without()
        .arg("--api-key-file=missing")
        .stderr(
            "error: --api-key-file: cannot read missing: No such file or directory (os error 2)\n",
        )
        .run();
    without()
        .file("key", "\n")
        .arg("--api-key-file=key")
        .env("PIPECAT_API_KEY", KEY)
        .stderr("error: the private API key in key (--api-key-file) is empty\n")
        .run();
    without()
        .file("key", "k".repeat(64 * 1024 + 1))
        .arg("--api-key-file=key")
        .stderr(
            "error: --api-key-file: key is larger than 65536 bytes, so that it cannot be a key's\n",
        )
        .run();
}

#[test]
fn a_login_file_that_is_none_names_the_line_and_the_command_that_writes_it() {
    for (content, why) in [
        (
            &b"org = \"acme\"\ntoken = \"login_5ecret"[..],
            "is not valid TOML in line 2",
        ),
        (
            b"token = \"a\"\ntoken = \"5ecret\"",
            "is not valid TOML in line 2",
        ),
        (b"", "holds no token"),
        (b"token = \"\"\n", "holds no token"),
        (b"token = 5\norg = \"acme\"\n", "holds no token"),
        (b"[acme]\ntoken = \"login_5ecret\"\n", "holds no token"),
        (b"token = \"\xff5ecret\"", "is not text"),
        (&vec![b'#'; 64 * 1024 + 1], "is larger than 65536 bytes"),
    ] {
        logged_in(Test::new("wait a").env("PIPECAT_API_URL", NOWHERE), content)
            .status(2)
            .stderr(&format!(
                "error: login.toml: {why}; write it anew: pipecat cloud auth login\n"
            ))
            .run();
    }
    Test::new("wait a")
        .env("PIPECAT_API_URL", NOWHERE)
        .env("PIPECAT_CONFIG_PATH", "/")
        .status(2)
        .stderr("error: /: cannot be read: Is a directory (os error 21); write it anew: pipecat cloud auth login\n")
        .run();
    // A token that names no organization takes that of the file, so it has to be readable as well.
    logged_in(Test::new("wait a").env("PIPECAT_API_URL", NOWHERE), "torn")
        .env("PIPECAT_TOKEN", ACCESS_TOKEN)
        .status(2)
        .stderr("error: login.toml: is not valid TOML in line 1; write it anew: pipecat cloud auth login\n")
        .run();
}

#[test]
fn a_login_file_that_others_can_read_is_used_with_a_warning() {
    let server = platform();
    let test = check(&server).arg("--progress=plain");
    let home = test.folder();
    let folder = home.join(".config/pipecatcloud");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("pipecatcloud.toml");
    fs::write(&file, login("org = \"acme\"")).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    let left = test.env("HOME", &home).stdout(READY).stderr_any().run();
    let file = file.display();
    let words = format!("other users may read the login in {file}; close it: chmod 600 {file}\n");
    assert!(left.stderr.contains(&words), "{}", left.stderr);
    assert_eq!(asked(&server)[0].1, LOGIN);
}

#[test]
fn no_secret_is_shown_at_any_level_though_the_server_repeats_them_all() {
    let echo = |request: &Request, renewal: &str| {
        let words = format!("{} {renewal}", bearer(request));
        if request.path.ends_with("/organizations") {
            let list = json!({"organizations": [{"name": format!("of {words}")}]});
            return answer("200 OK", "", &list.to_string());
        }
        let details = json!({
            "name": "my-agent", "desiredDeploymentId": "new", "reconciledDeploymentId": "new",
            "currentRevision": {"deploymentID": "new", "phase": "Failed", "health": {
                "state": "terminated", "message": words,
            }},
        });
        let details = if request.path.contains("/agents/") {
            details
        } else {
            json!({ "body": details })
        };
        answer(
            "200 OK",
            &format!("X-Request-Id: {words}\r\n"),
            &details.to_string(),
        )
    };
    let gives: [fn(Test) -> Test; 4] = [
        |test| {
            test.env(
                "PIPECAT_API_KEY",
                format!("{KEY} {RENEWAL}").replace(' ', "_"),
            )
        },
        |test| test.env("PIPECAT_TOKEN", format!("{LOGIN}_{RENEWAL}")),
        |test| logged_in(test, login("")),
        |test| logged_in(test, login("org = \"acme\"").replace(LOGIN, ACCESS_TOKEN)),
    ];
    for (index, give) in gives.into_iter().enumerate() {
        // Where only a variable is set, nobody knows what would renew it.
        let renewal = if index < 2 { "" } else { RENEWAL };
        let server = Server::answering(move |request| echo(request, renewal));
        for switches in [
            "-vv --progress plain",
            "-vv --progress json --output json",
            "-v",
        ] {
            let test = Test::new(&format!(
                "wait my-agent --timeout 20s --report-file report.json {switches}"
            ))
            .env("PIPECAT_API_URL", server.url())
            .env("RUST_LOG", "trace");
            let report = test.folder().join("report.json");
            give(test)
                .status(10)
                .stdout_any()
                .stderr_any()
                .afterwards(move || {
                    let report = fs::read_to_string(report).unwrap();
                    assert!(!report.contains(SECRET), "{report}");
                    assert!(report.contains("[the API key]"), "{report}");
                })
                .run();
        }
    }
}

#[test]
fn verbose_shows_which_credential_is_used() {
    let server = platform();
    let left = check(&server)
        .env("PIPECAT_TOKEN", LOGIN)
        .arg("--progress=plain")
        .arg("-v")
        .stdout_any()
        .stderr_any()
        .run();
    for words in [
        "asking with the login in PIPECAT_TOKEN",
        "asking for first, the first organization of the account",
    ] {
        assert!(left.stderr.contains(words), "{}", left.stderr);
    }
}
