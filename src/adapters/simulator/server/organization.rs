//! The paths on which the vendor's CLI and action ask for what is about no agent.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::routing::{MethodRouter, get};
use serde_json::{Value, json};

use super::{Answer, ORGANIZATION, Place, Stage, Stages, named, read, respond};
use crate::adapters::simulator::Query;
use crate::adapters::simulator::ids::uuid;

/// The default region, and the others.
const REGIONS: [&str; 4] = ["us-west", "us-east", "eu-central", "ap-south"];

pub(super) fn router() -> Router<Arc<Stage>> {
    let only =
        json!({ "id": uuid(&[]), "name": ORGANIZATION, "verboseName": "Simulated organization" });
    let regions = REGIONS.map(|region| json!({ "code": region, "display_name": region }));
    // The credentials that every deployment names; of secrets there is any set that is asked for.
    let credentials =
        json!({ "name": "registry-credentials", "type": "imagePullSecret", "region": REGIONS[0] });
    let secrets = json!({ "secrets": [], "region": REGIONS[0], "status": "ready" });
    let builds = Router::new()
        .route("/builds", get(builds))
        .route("/builds/{name}", get(one_build));
    let organization = builds
        .clone()
        .route(
            "/properties",
            fixed(json!({ "properties": { "defaultRegion": REGIONS[0] } })),
        )
        .route("/regions", fixed(json!({ "regions": regions })))
        .route("/secrets", fixed(json!({ "sets": [credentials] })))
        .route("/secrets/{name}", fixed(secrets));
    Router::new()
        .route(
            "/v1/organizations",
            fixed(json!({ "organizations": [only] })),
        )
        .nest("/v1/organizations/{organization}", organization)
        .nest("/v1", builds)
}

/// The details as the CLI reads them.
pub(super) async fn details(State(stage): Stages, place: Place) -> Response {
    respond(&stage, place, |details| json!({ "body": details })).await
}

/// What is always answered with the same.
fn fixed(json: Value) -> MethodRouter<Arc<Stage>> {
    get(async move || Answer::from(Ok(json)))
}

/// Whatever context is asked for has been built already.
async fn builds(query: RawQuery) -> Answer {
    let query = read(query);
    let found = query
        .get("contextHash")
        .map(|context| build(&uuid(&["build", context]), &query));
    let (total, found) = (
        usize::from(found.is_some()),
        found.into_iter().collect::<Value>(),
    );
    Ok(json!({ "builds": found, "total": total, "limit": 20, "offset": 0 })).into()
}

async fn one_build(place: Place) -> Answer {
    Ok(json!({ "build": build(&named(place).name, &Query::default()) })).into()
}

fn build(id: &str, query: &Query) -> Value {
    json!({
        "id": id,
        "organizationId": uuid(&[]),
        "status": "success",
        "region": query.get("region").unwrap_or(REGIONS[0]),
        "contextHash": query.get("contextHash"),
        "dockerfilePath": query.get("dockerfilePath").unwrap_or("Dockerfile"),
        "buildDurationSeconds": 42,
    })
}
