//! The schemas of the endpoints' answers, made from the types; `config/schema/endpoints.openapi.json` holds them.

use jiff::civil::Date;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use crate::adapters::store::DeadLetter;
use crate::app::watch::http::views::{AgentView, Overview, RolloutView};
use crate::core::fleet::{FinishedRollout, Stats};
use crate::core::tests::schema::{CloudEvent, assert_is_in_file, schema_of};

/// `/v1/agents`: agents by name or, with `order=attention`, what is down or rolling out first.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct AgentList {
    agents: Vec<AgentView>,
    /// How many there are in all that fit the query.
    total: u64,
    /// `after` of the next page; null on the last.
    next: Option<String>,
}

/// `/v1/rollouts`: rollouts that have ended, the latest first.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Rollouts {
    rollouts: Vec<FinishedRollout>,
    /// `before` of the next page; null on the last.
    next: Option<u64>,
}

/// `/v1/events`: events in the order of their numbers.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Events {
    events: Vec<Numbered>,
    /// `after` of the next page; null on the last.
    next: Option<u64>,
}

/// An event, and its number.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Numbered {
    number: u64,
    event: CloudEvent,
}

/// `/v1/stats`: figures of rollouts in all, and by agent or by period.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct AllStats {
    stats: Stats,
    #[serde(skip_serializing_if = "Option::is_none")]
    agents: Option<Vec<AgentStats>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    periods: Option<Vec<PeriodStats>>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct AgentStats {
    agent: String,
    stats: Stats,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct PeriodStats {
    /// The first day, in UTC.
    #[schemars(with = "String", extend("format" = "date"))]
    start: Date,
    stats: Stats,
}

/// `/v1/dead-letters`: events whose delivery was given up, the latest first.
#[derive(JsonSchema)]
#[schemars(rename_all = "camelCase")]
#[expect(dead_code, reason = "only its shape is of interest")]
struct DeadLetters {
    dead_letters: Vec<DeadLetter>,
}

/// `/v1/rollout/logs`: the latest lines that a deployment logged, the oldest first.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Logs {
    lines: Vec<String>,
}

/// How many events wait for their sink again.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Queued {
    queued: u64,
}

/// Why there is no answer.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its shape is of interest")]
struct Failure {
    /// In words.
    error: String,
    code: String,
}

/// Every endpoint that answers in JSON with what users may rely on: its path, method, query and answer.
fn endpoints() -> [(&'static str, &'static str, &'static [&'static str], Value); 9] {
    [
        (
            "/v1/agents",
            "get",
            &["after", "order", "search", "region", "state", "limit"],
            schema_of::<AgentList>("Agents"),
        ),
        (
            "/v1/overview",
            "get",
            &[],
            schema_of::<Overview>("Overview"),
        ),
        (
            "/v1/rollouts",
            "get",
            &["agent", "since", "until", "verdict", "before", "limit"],
            schema_of::<Rollouts>("Rollouts"),
        ),
        (
            "/v1/rollout",
            "get",
            &["agent", "deployment"],
            schema_of::<RolloutView>("Rollout"),
        ),
        (
            "/v1/rollout/logs",
            "get",
            &["agent", "deployment", "limit"],
            schema_of::<Logs>("Logs"),
        ),
        (
            "/v1/events",
            "get",
            &["after", "agent", "kind", "limit"],
            schema_of::<Events>("Events"),
        ),
        (
            "/v1/stats",
            "get",
            &["agent", "since", "until", "by"],
            schema_of::<AllStats>("Statistics"),
        ),
        (
            "/v1/dead-letters",
            "get",
            &["limit"],
            schema_of::<DeadLetters>("DeadLetters"),
        ),
        (
            "/v1/dead-letters/redeliver",
            "post",
            &["sink", "event"],
            schema_of::<Queued>("Queued"),
        ),
    ]
}

/// The whole document, with what several answers have in common once.
fn document() -> Value {
    let (mut schemas, mut paths) = (Map::new(), Map::new());
    let mut add = |mut schema: Value| {
        let name = schema["title"].as_str().unwrap().to_owned();
        let object = schema.as_object_mut().unwrap();
        object.remove("$schema");
        let shared = object.remove("$defs").unwrap_or_else(|| json!({}));
        schemas.extend(shared.as_object().unwrap().clone());
        schemas.insert(name.clone(), schema);
        json!({ "application/json": { "schema": { "$ref": format!("#/components/schemas/{name}") } } })
    };
    let failure =
        json!({ "description": "Why not", "content": add(schema_of::<Failure>("Failure")) });
    for (path, method, query, schema) in endpoints() {
        let description = schema["description"].clone();
        let parameters = query.iter().map(|name| {
            let required = path.contains("/rollout") && ["agent", "deployment"].contains(name) && path != "/v1/rollouts" || *name == "sink";
            json!({ "name": name, "in": "query", "required": required, "schema": { "type": "string" } })
        });
        let parameters: Vec<Value> = parameters.collect();
        let mut responses = json!({ "200": { "description": description, "content": add(schema) }, "default": failure });
        if method == "get" && path != "/v1/rollout/logs" {
            responses["304"] = json!({ "description": "As it was when the answer had this ETag" });
        }
        paths.insert(
            path.to_owned(),
            json!({ method: { "parameters": parameters, "responses": responses } }),
        );
    }
    let text = json!({
        "openapi": "3.1.0",
        "info": { "title": "Endpoints of pipecat-rollout watch", "version": "1", "license": { "name": "MIT" } },
        "servers": [{ "url": "http://127.0.0.1:9464" }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "description": "With --http-token-file" } },
        },
    })
    .to_string();
    serde_json::from_str(&text.replace("#/$defs/", "#/components/schemas/")).unwrap()
}

/// The schema of the answer at a path, with all that it refers to.
pub(super) fn of_answer(path: &str) -> Value {
    let mut schema = document();
    let method = schema["paths"][path].as_object().unwrap();
    let method = method.values().next().unwrap();
    let answer =
        method["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].clone();
    schema["$ref"] = answer;
    schema
}

#[test]
fn the_document_is_that_of_the_types() {
    assert_is_in_file("endpoints.openapi.json", &document());
}
