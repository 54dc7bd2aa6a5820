//! Where traces go: a switch, and the environment variables of OpenTelemetry.

use std::env;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use tracing::warn;

use crate::adapters::api::{http_client, tls_config};
use crate::adapters::otlp::{Exporter, INVALID_HEADERS};
use crate::app::cli::TraceArgs;
use crate::app::error::chain;
use crate::app::telemetry::Telemetry;
use crate::core::trace::{Root, parse_list};

/// How long an export may take unless it is said, where nobody waits for it.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Over HTTP, receivers that are sent to in one of these take JSON.
const PROTOCOLS: [&str; 2] = ["http/json", "http/protobuf"];

/// Where the traces of this run go, if anywhere; `ca_file` is of the API's switches.
///
/// A variable that is wrong says so and is passed over: it is often set for all programs of a machine. A switch is an
/// error.
pub(super) fn telemetry(args: &TraceArgs, ca_file: Option<&Path>) -> Result<Option<Telemetry>> {
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none")
    {
        return Ok(None);
    }
    let (place, url) = match (
        &args.otlp_endpoint,
        variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
    ) {
        (Some(base), _) => ("--otlp-endpoint", traces_url(base)),
        (None, Some(exact)) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", exact),
        (None, None) => match variable("OTEL_EXPORTER_OTLP_ENDPOINT") {
            Some(base) => ("OTEL_EXPORTER_OTLP_ENDPOINT", traces_url(&base)),
            None => return Ok(None),
        },
    };
    let exporter = match exporter(&url, ca_file) {
        Ok(exporter) => exporter,
        Err(error) if args.otlp_endpoint.is_some() => {
            bail!("{place}: {error}");
        }
        Err(error) => {
            warn!("no trace is sent: {place}: {error}");
            return Ok(None);
        }
    };
    let timeout = of_traces("TIMEOUT").and_then(|(name, text)| {
        let timeout = text.parse().ok().filter(|millis| *millis > 0);
        if timeout.is_none() {
            warn!("{name} is passed over: it must be a number of milliseconds");
        }
        timeout
    });
    Ok(Some(Telemetry {
        exporter,
        timeout: timeout.map_or(TIMEOUT, Duration::from_millis),
        root: Root::below(variable("TRACEPARENT").as_deref(), || fastrand::u64(..)),
    }))
}

fn exporter(url: &str, ca_file: Option<&Path>) -> Result<Exporter> {
    match of_traces("PROTOCOL") {
        Some((_, protocol)) if protocol == "grpc" => {
            bail!("OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and only http/json is spoken here")
        }
        Some((name, protocol)) if !PROTOCOLS.contains(&protocol.as_str()) => {
            warn!("{name} is passed over: it must be http/json, which is what is sent");
        }
        _ => {}
    }
    let headers = of_traces("HEADERS").map_or_else(String::new, |(_, headers)| headers);
    let headers = parse_list(&headers).context(INVALID_HEADERS)?;
    let certificate = of_traces("CERTIFICATE").map(|(_, path)| path);
    let ca_file = certificate.as_ref().map(Path::new).or(ca_file);
    let tls = tls_config(ca_file);
    let tls = tls.map_err(|error| anyhow!("cannot set up HTTP: {}", chain(error.as_ref())))?;
    Exporter::new(url, &headers, resource(), |is_direct| {
        http_client(tls, is_direct)
    })
}

/// Who sends them.
fn resource() -> Vec<(String, String)> {
    let given = variable("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let given = parse_list(&given).unwrap_or_else(|| {
        warn!("OTEL_RESOURCE_ATTRIBUTES is passed over: it must be key=value,key=value");
        Vec::new()
    });
    let own = [
        ("service.name", env!("CARGO_PKG_NAME").to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let named = variable("OTEL_SERVICE_NAME").map(|name| ("service.name".to_owned(), name));
    let own = own.map(|(key, value)| (key.to_owned(), value));
    let mut resource: Vec<(String, String)> = Vec::new();
    // What comes first wins.
    for (key, value) in named.into_iter().chain(given).chain(own) {
        if !resource.iter().any(|(known, _)| *known == key) {
            resource.push((key, value));
        }
    }
    resource
}

/// A setting of the exporter of traces, else of all exporters, after the name of its variable.
fn of_traces(name: &str) -> Option<(String, String)> {
    let names = ["OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"];
    let mut names = names.map(|start| format!("{start}{name}")).into_iter();
    names.find_map(|name| variable(&name).map(|value| (name, value)))
}

/// A variable; one that is empty counts as not set.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where a receiver takes traces: a path below that of its address, before its query.
fn traces_url(base: &str) -> String {
    let (path, query) = base.split_at(base.find(['?', '#']).unwrap_or(base.len()));
    format!("{}/v1/traces{query}", path.trim_end_matches('/'))
}
