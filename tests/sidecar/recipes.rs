//! The recipes of `docs/sinks.md`, as they stand there, against receivers that check what each service documents.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use crate::api::Api;
use crate::harness::Place;
use crate::support::http::{Request, answer, send};
use crate::support::simulator::Simulator;
use crate::support::{http, project_text, wait_until};

/// What a service says of a request: nothing, or what is wrong with it.
type Check = fn(&Request, &mut Open) -> Result<(), String>;

/// The alerts that are open at a service, by their keys, and how many ever were.
#[derive(Default)]
struct Open {
    keys: Vec<String>,
    opened: usize,
}

/// The services, by the name of their recipe: the secret that it is given, the status that it answers, and what it checks.
const SERVICES: [(&str, &str, &str, Check); 11] = [
    (
        "discord",
        "/api/webhooks/1/t0ken",
        "204 No Content",
        discord,
    ),
    (
        "teams",
        "/workflows/1/triggers/manual/paths/invoke?sig=t0ken",
        "202 Accepted",
        teams,
    ),
    ("pagerduty", "R0UT1NGKEY", "202 Accepted", pagerduty),
    ("opsgenie", "0psgenie", "202 Accepted", opsgenie),
    ("grafana", "glsa_t0ken", "200 OK", grafana),
    ("datadog", "dd-k3y", "202 Accepted", datadog),
    ("honeycomb", "hc-k3y", "201 Created", honeycomb),
    ("newrelic", "nr-k3y", "200 OK", newrelic),
    ("ntfy", "tk_t0ken", "200 OK", ntfy),
    ("github", "ghp_t0ken", "201 Created", github),
    ("alive", "/ping/t0ken", "200 OK", alive),
];

/// A service that runs, with what is open at it.
struct Service {
    base: String,
    open: Arc<Mutex<Open>>,
    problems: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start(status: &'static str, check: Check) -> Self {
        let (open, problems) = (Arc::default(), Arc::default());
        let (state, found): (Arc<Mutex<Open>>, Arc<Mutex<Vec<String>>>) =
            (Arc::clone(&open), Arc::clone(&problems));
        let address =
            http::serve(
                move |request, stream| match check(&request, &mut state.lock().unwrap()) {
                    Ok(()) => send(stream, &answer(status, "", "")),
                    Err(why) => {
                        let problem = format!("{why}: {request:?}");
                        found.lock().unwrap().push(problem);
                        let plain = "content-type: text/plain\r\n";
                        send(stream, &answer("400 Bad Request", plain, &why));
                    }
                },
            );
        Self {
            base: format!("http://{address}"),
            open,
            problems,
        }
    }
}

/// The recipes of the page, by the name of their sink.
fn recipes() -> BTreeMap<String, String> {
    let page = project_text("docs/sinks.md");
    let (_, page) = page.split_once("\n## Recipes\n").unwrap();
    let blocks = page.split("```toml\n").skip(1);
    let texts = blocks.map(|block| block.split_once("```").unwrap().0);
    let name = |text: &str| {
        let line = text.lines().find(|line| line.starts_with("name = "));
        line.unwrap()
            .trim_start_matches("name = ")
            .trim_matches('"')
            .to_owned()
    };
    texts.map(|text| (name(text), text.to_owned())).collect()
}

/// A recipe with the service in the place of the real one, and its secret in a file.
fn place(api: &Api, recipe: &str, secret: &str, service: &Service) -> Place {
    let place = Place::of(api);
    let file = place.path("secret");
    let secret = match secret.strip_prefix('/') {
        Some(path) => format!("{}/{path}", service.base),
        None => secret.to_owned(),
    };
    let place = place.file("secret", &format!("{secret}\n"));
    let mut config = String::new();
    for line in recipe.lines() {
        let line = match (line.find("\"https://"), line.find("\"/run/secrets/")) {
            (Some(at), _) if line.starts_with("url") => {
                let (key, url) = line.split_at(at + 1);
                let path = url.splitn(4, '/').nth(3).unwrap();
                format!("{key}{}/{path}", service.base)
            }
            (_, Some(at)) => {
                let (key, rest) = line.split_at(at + 1);
                let after = rest.split_once('"').unwrap().1;
                format!("{key}{}\"{after}", file.display())
            }
            _ => line.to_owned(),
        };
        config.push_str(&line);
        config.push('\n');
    }
    place.config(&config)
}

#[test]
fn each_recipe_is_what_its_service_documents() {
    let api = Api::with(&[]);
    let mut recipes = recipes();
    for (name, secret, status, check) in SERVICES {
        let recipe = recipes
            .remove(name)
            .unwrap_or_else(|| panic!("no recipe for {name}"));
        let service = Service::start(status, check);
        let place = place(&api, &recipe, secret, &service);
        let ended = place.args(&format!("--test-sink {name}")).run();
        let problems = service.problems.lock().unwrap().join("\n");
        assert_eq!(ended.code(), 0, "{name}: {problems}\n{ended:?}");
        let taken = ended
            .stdout
            .lines()
            .filter(|line| line.ends_with(": taken"))
            .count();
        assert_eq!(taken, if name == "alive" { 1 } else { 2 }, "{ended:?}");
        for text in [&ended.stdout, &ended.stderr] {
            assert!(!text.contains("t0ken") && !text.contains(secret), "{text}");
        }
        if recipe.contains("incidents = true") {
            let open = service.open.lock().unwrap();
            assert_eq!((open.opened, open.keys.len()), (1, 0), "{name}");
        }
    }
    assert!(recipes.is_empty(), "nothing checks {:?}", recipes.keys());
}

#[test]
fn the_page_leads_from_nothing_to_an_alert_that_opens_and_closes() {
    let page = project_text("docs/sidecar.md");
    let (_, page) = page.split_once("\n### From nothing to an alert\n").unwrap();
    let (page, _) = page.split_once("\n### ").unwrap();
    let simulator = Simulator::start(["crash-loop", "--speed", "20"]);
    let at = simulator.url.trim_end_matches("/v1");
    let service = Service::start("202 Accepted", pagerduty);
    let ever_opened = || service.open.lock().unwrap().opened;
    let is_open = || !service.open.lock().unwrap().keys.is_empty();
    let place = Place::at("unused");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = place.command(arguments);
        command
            .env_remove("PIPECAT_API_URL")
            .env_remove("PIPECAT_ROLLOUT_STORE")
            .env("PIPECAT_ROLLOUT_INTERVAL", "200ms")
            .env("PIPECAT_ROLLOUT_LISTEN", "127.0.0.1:0");
        let mut shell = Command::new("bash");
        shell.args(["-ec", program]).current_dir(place.path(""));
        (command, shell)
    };
    let mut sidecar = None;
    let (mut steps, mut deploys) = (0, 0);
    for block in page.split("```").skip(1).step_by(2) {
        let block = block.replace("http://127.0.0.1:8080", at);
        let (language, text) = block.split_once('\n').unwrap();
        if language == "toml" {
            let recipe = recipes()["pagerduty"]
                .replace("https://events.pagerduty.com", &service.base)
                .replace("/run/secrets/pagerduty-key", "pagerduty-key");
            std::fs::write(
                place.path("pipecat-rollout.toml"),
                format!("{text}{recipe}"),
            )
            .unwrap();
            continue;
        }
        for line in text.lines() {
            steps += 1;
            let line = line.replace("YOUR-INTEGRATION-KEY", "R0UT1NGKEY");
            let arguments = line.strip_prefix("pipecat-rollout ").map(words);
            let arguments: Vec<&str> = arguments.iter().flatten().map(String::as_str).collect();
            let (command, mut shell) = run(&line, &arguments);
            match arguments.as_slice() {
                // It runs already, elsewhere and faster.
                [
                    "simulate",
                    "crash-loop",
                    "--speed",
                    "10",
                    "--listen",
                    "127.0.0.1:8080",
                ] => {}
                ["watch", "--config", "pipecat-rollout.toml"] => {
                    let watching = place.start_command(command);
                    watching.wait_for_log("\"message\":\"watching 1 agent\"");
                    sidecar = Some(watching);
                }
                [] => {
                    assert!(shell.status().unwrap().success(), "{line}");
                    if line.starts_with("curl ") {
                        deploys += 1;
                        let due =
                            || (ever_opened() > 1 && is_open() == (deploys == 1)).then_some(());
                        wait_until(&line, due);
                    }
                }
                _ => {
                    let ended = place.start_command(command).end();
                    assert_eq!(ended.code(), 0, "{line}: {ended:?}");
                }
            }
        }
    }
    assert_eq!((steps, deploys), (8, 2), "{page}");
    sidecar.unwrap().stop();
    assert_eq!(*service.problems.lock().unwrap(), [""; 0]);
    assert_eq!(ever_opened(), 2, "that of the test, and one");
}

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

fn json(request: &Request) -> Result<Map<String, Value>, String> {
    if request.header("content-type") != Some("application/json") {
        return Err("it is no JSON".to_owned());
    }
    let body: Value = serde_json::from_str(&request.body).map_err(|error| error.to_string())?;
    object(&body).cloned()
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| format!("{value} is no object"))
}

fn need(is_so: bool, what: &str) -> Result<(), String> {
    is_so.then_some(()).ok_or_else(|| what.to_owned())
}

/// An object has these keys, and none but these and those that are optional.
fn keys(object: &Map<String, Value>, needed: &[&str], optional: &[&str]) -> Result<(), String> {
    for key in needed {
        need(object.contains_key(*key), &format!("{key} is missing"))?;
    }
    for key in object.keys() {
        let is_known = needed.contains(&key.as_str()) || optional.contains(&key.as_str());
        need(is_known, &format!("{key} is unknown"))?;
    }
    Ok(())
}

/// A text that is not empty, and not longer than that.
fn text<'a>(object: &'a Map<String, Value>, key: &str, max: usize) -> Result<&'a str, String> {
    let text = object.get(key).and_then(Value::as_str);
    let text = text.ok_or_else(|| format!("{key} is no text"))?;
    let length = text.chars().count();
    need(
        (1..=max).contains(&length),
        &format!("{key} has {length} characters"),
    )?;
    Ok(text)
}

fn optional_text(object: &Map<String, Value>, key: &str, max: usize) -> Result<(), String> {
    match object.get(key) {
        Some(_) => text(object, key, max).map(drop),
        None => Ok(()),
    }
}

fn one_of(object: &Map<String, Value>, key: &str, words: &[&str]) -> Result<(), String> {
    let word = text(object, key, 100)?;
    need(words.contains(&word), &format!("{key} is {word}"))
}

fn whole(object: &Map<String, Value>, key: &str) -> Result<u64, String> {
    let number = object.get(key).and_then(Value::as_u64);
    number.ok_or_else(|| format!("{key} is no whole number"))
}

fn is_to(request: &Request, method: &str, path: &str) -> Result<(), String> {
    let found = (request.method.as_str(), request.path.as_str());
    need(found == (method, path), &format!("it goes to {found:?}"))
}

fn has_header(request: &Request, name: &str, value: &str) -> Result<(), String> {
    let found = request.header(name);
    need(found == Some(value), &format!("{name} is {found:?}"))
}

/// A time of this program's tests: now, in seconds.
fn is_recent(seconds: u64) -> Result<(), String> {
    let now = jiff_now();
    need(
        now.abs_diff(seconds) < 600,
        &format!("{seconds} is not now"),
    )
}

fn jiff_now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
}

fn discord(request: &Request, _: &mut Open) -> Result<(), String> {
    is_to(request, "POST", "/api/webhooks/1/t0ken")?;
    let body = json(request)?;
    keys(
        &body,
        &["embeds"],
        &["content", "username", "avatar_url", "allowed_mentions"],
    )?;
    optional_text(&body, "username", 80)?;
    let embeds = body["embeds"].as_array().ok_or("embeds is no list")?;
    need((1..=10).contains(&embeds.len()), "there are 1 to 10 embeds")?;
    for embed in embeds {
        let embed = object(embed)?;
        keys(
            embed,
            &[],
            &[
                "title",
                "description",
                "url",
                "color",
                "timestamp",
                "fields",
                "footer",
            ],
        )?;
        text(embed, "title", 256)?;
        optional_text(embed, "description", 4096)?;
        optional_text(embed, "url", 2048)?;
        need(whole(embed, "color")? <= 0x00ff_ffff, "color is no colour")?;
        need(
            text(embed, "timestamp", 40)?.ends_with('Z'),
            "timestamp is none",
        )?;
        for field in embed["fields"].as_array().ok_or("fields is no list")? {
            let field = object(field)?;
            keys(field, &["name", "value"], &["inline"])?;
            text(field, "name", 256)?;
            text(field, "value", 1024)?;
        }
    }
    Ok(())
}

fn teams(request: &Request, _: &mut Open) -> Result<(), String> {
    is_to(
        request,
        "POST",
        "/workflows/1/triggers/manual/paths/invoke?sig=t0ken",
    )?;
    let body = json(request)?;
    keys(&body, &["type", "attachments"], &[])?;
    one_of(&body, "type", &["message"])?;
    need(request.body.len() < 28 * 1024, "it is too long")?;
    for attachment in body["attachments"].as_array().ok_or("no list")? {
        let attachment = object(attachment)?;
        keys(attachment, &["contentType", "content"], &["contentUrl"])?;
        one_of(
            attachment,
            "contentType",
            &["application/vnd.microsoft.card.adaptive"],
        )?;
        let card = object(&attachment["content"])?;
        keys(card, &["type", "version", "body"], &["$schema", "actions"])?;
        one_of(card, "type", &["AdaptiveCard"])?;
        for element in card["body"].as_array().ok_or("no list")? {
            let element = object(element)?;
            match element["type"].as_str() {
                Some("TextBlock") => {
                    keys(element, &["type", "text"], &["weight", "color", "wrap"])?;
                    text(element, "text", 10_000)?;
                    one_of(
                        element,
                        "color",
                        &["Default", "Good", "Warning", "Attention"],
                    )?;
                }
                Some("FactSet") => {
                    for fact in element["facts"].as_array().ok_or("no list")? {
                        let fact = object(fact)?;
                        keys(fact, &["title", "value"], &[])?;
                        text(fact, "value", 10_000)?;
                    }
                }
                other => return Err(format!("{other:?} is no element")),
            }
        }
    }
    Ok(())
}

fn pagerduty(request: &Request, open: &mut Open) -> Result<(), String> {
    is_to(request, "POST", "/v2/enqueue")?;
    let body = json(request)?;
    let optional = ["payload", "client", "client_url", "links", "images"];
    keys(
        &body,
        &["routing_key", "event_action", "dedup_key"],
        &optional,
    )?;
    need(
        text(&body, "routing_key", 32)? == "R0UT1NGKEY",
        "the key is wrong",
    )?;
    optional_text(&body, "client_url", 2048)?;
    let key = text(&body, "dedup_key", 255)?.to_owned();
    match text(&body, "event_action", 20)? {
        "trigger" => {
            let payload = object(body.get("payload").ok_or("no payload")?)?;
            let optional = ["timestamp", "component", "group", "class", "custom_details"];
            keys(payload, &["summary", "source", "severity"], &optional)?;
            text(payload, "summary", 1024)?;
            text(payload, "source", 255)?;
            one_of(
                payload,
                "severity",
                &["critical", "error", "warning", "info"],
            )?;
            optional_text(payload, "timestamp", 40)?;
            object(&payload["custom_details"])?;
            open.opened += 1;
            open.keys.push(key);
        }
        "resolve" => open.keys.retain(|known| *known != key),
        other => return Err(format!("event_action is {other}")),
    }
    Ok(())
}

fn opsgenie(request: &Request, open: &mut Open) -> Result<(), String> {
    has_header(request, "authorization", "GenieKey 0psgenie")?;
    let body = json(request)?;
    if let Some(rest) = request.path.strip_prefix("/v2/alerts/") {
        let alias = rest
            .strip_suffix("/close?identifierType=alias")
            .ok_or("no close")?;
        keys(&body, &[], &["user", "source", "note"])?;
        let alias = percent_encoding::percent_decode_str(alias)
            .decode_utf8()
            .unwrap();
        need(
            open.keys.iter().any(|key| *key == alias),
            "there is no such alert",
        )?;
        open.keys.retain(|key| *key != alias);
        return need(request.method == "POST", "it is no POST");
    }
    is_to(request, "POST", "/v2/alerts")?;
    let optional = [
        "alias",
        "description",
        "entity",
        "source",
        "priority",
        "tags",
        "details",
    ];
    keys(&body, &["message"], &optional)?;
    text(&body, "message", 130)?;
    optional_text(&body, "description", 15_000)?;
    optional_text(&body, "entity", 512)?;
    one_of(&body, "priority", &["P1", "P2", "P3", "P4", "P5"])?;
    let details = object(&body["details"])?;
    need(details.values().all(Value::is_string), "details are texts")?;
    open.opened += 1;
    open.keys.push(text(&body, "alias", 512)?.to_owned());
    Ok(())
}

fn grafana(request: &Request, _: &mut Open) -> Result<(), String> {
    is_to(request, "POST", "/api/annotations")?;
    has_header(request, "authorization", "Bearer glsa_t0ken")?;
    let body = json(request)?;
    let optional = ["dashboardUID", "panelId", "time", "timeEnd", "tags"];
    keys(&body, &["text"], &optional)?;
    text(&body, "text", 100_000)?;
    is_recent(whole(&body, "time")? / 1000)?;
    is_recent(whole(&body, "timeEnd")? / 1000)?;
    let tags = body["tags"].as_array().ok_or("tags is no list")?;
    need(tags.iter().all(Value::is_string), "tags are texts")
}

fn datadog(request: &Request, _: &mut Open) -> Result<(), String> {
    is_to(request, "POST", "/api/v1/events")?;
    has_header(request, "dd-api-key", "dd-k3y")?;
    let body = json(request)?;
    let optional = [
        "date_happened",
        "alert_type",
        "priority",
        "aggregation_key",
        "tags",
        "host",
        "source_type_name",
    ];
    keys(&body, &["title", "text"], &optional)?;
    text(&body, "title", 100)?;
    text(&body, "text", 4000)?;
    text(&body, "aggregation_key", 100)?;
    is_recent(whole(&body, "date_happened")?)?;
    one_of(
        &body,
        "alert_type",
        &["error", "warning", "info", "success"],
    )?;
    one_of(&body, "priority", &["normal", "low"])?;
    need(body["tags"].is_array(), "tags is no list")
}

fn honeycomb(request: &Request, _: &mut Open) -> Result<(), String> {
    is_to(request, "POST", "/1/markers/voice")?;
    has_header(request, "x-honeycomb-team", "hc-k3y")?;
    let body = json(request)?;
    keys(
        &body,
        &[],
        &["start_time", "end_time", "message", "type", "url"],
    )?;
    is_recent(whole(&body, "start_time")?)?;
    is_recent(whole(&body, "end_time")?)?;
    text(&body, "message", 10_000)?;
    text(&body, "type", 100).map(drop)
}

fn newrelic(request: &Request, _: &mut Open) -> Result<(), String> {
    is_to(request, "POST", "/v1/accounts/1234567/events")?;
    has_header(request, "api-key", "nr-k3y")?;
    let body: Value = serde_json::from_str(&request.body).map_err(|error| error.to_string())?;
    for event in body.as_array().ok_or("it is no list")? {
        let event = object(event)?;
        let kind = text(event, "eventType", 255)?;
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "_: ".contains(char);
        need(kind.chars().all(is_plain), "eventType has other characters")?;
        is_recent(whole(event, "timestamp")?)?;
        let is_flat =
            |value: &Value| value.is_number() || value.as_str().is_some_and(|it| it.len() <= 4096);
        need(
            event.values().all(is_flat),
            "a value is no text and no number, or too long",
        )?;
    }
    Ok(())
}

fn ntfy(request: &Request, _: &mut Open) -> Result<(), String> {
    is_to(request, "POST", "/")?;
    has_header(request, "authorization", "Bearer tk_t0ken")?;
    let body = json(request)?;
    keys(
        &body,
        &["topic"],
        &["message", "title", "tags", "priority", "click"],
    )?;
    text(&body, "message", 4096)?;
    text(&body, "title", 250)?;
    need(
        (1..=5).contains(&whole(&body, "priority")?),
        "priority is 1 to 5",
    )?;
    let tags = body["tags"].as_array().ok_or("tags is no list")?;
    need(tags.iter().all(Value::is_string), "tags are texts")
}

fn github(request: &Request, _: &mut Open) -> Result<(), String> {
    let commit = "0".repeat(40);
    is_to(
        request,
        "POST",
        &format!("/repos/acme/voice/statuses/{commit}"),
    )?;
    has_header(request, "authorization", "Bearer ghp_t0ken")?;
    has_header(request, "accept", "application/vnd.github+json")?;
    has_header(request, "x-github-api-version", "2022-11-28")?;
    need(
        request.header("user-agent").is_some(),
        "it has no user-agent",
    )?;
    let body = json(request)?;
    keys(&body, &["state"], &["context", "description", "target_url"])?;
    one_of(&body, "state", &["error", "failure", "pending", "success"])?;
    text(&body, "description", 140).map(drop)
}

fn alive(request: &Request, _: &mut Open) -> Result<(), String> {
    is_to(request, "GET", "/ping/t0ken")?;
    need(request.body.is_empty(), "it has a body")
}
