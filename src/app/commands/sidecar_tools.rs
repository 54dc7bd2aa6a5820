//! `watch --test-sink`, `--redeliver` and `--health`: what an operator does beside the sidecar.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::anyhow;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::adapters::store::Store;
use crate::app::cli::Listen;
use crate::app::error::Error;
use crate::app::exit::Ending;
use crate::app::plan::WatchPlan;
use crate::core::fleet::test_events;
use crate::core::messages::{Notification, event_line};
use crate::core::text::one_line;

/// How long the sidecar may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of what it says.
const MAX_ANSWER: u64 = 1 << 20;

/// Sends a sink a rollout that failed, and one that ends well; says what came back.
pub(super) async fn test_sink(plan: &WatchPlan, name: &str) -> Result<Ending, Error> {
    let Some(target) = plan.sinks.iter().find(|sink| sink.name == name) else {
        return Err(no_sink(plan, "--test-sink", name));
    };
    let events = test_events(Timestamp::now());
    // A sign of life says nothing of either.
    let count = if target.sink.every().is_some() {
        1
    } else {
        events.len()
    };
    let mut failures = 0;
    for stored in &events[..count] {
        let what = Notification::of(stored, &plan.origin);
        let result = target.sink.deliver(what, Timestamp::now()).await;
        let (event, sink) = (&stored.event, &target.sink);
        let line = match count {
            1 => "a sign of life".to_owned(),
            _ => event_line(event),
        };
        let outcome = match result {
            Ok(()) => "taken".to_owned(),
            Err(error) => {
                failures += 1;
                format!("not taken: {error}")
            }
        };
        let text = format!("{name} ({sink}): {outcome}\n  {line}\n");
        super::out(&text)?;
    }
    match failures {
        0 => Ok(Ending::Done),
        _ => Err(Error::SinkFailed(name.to_owned())),
    }
}

/// That there is no sink of this name, and which there are.
fn no_sink(plan: &WatchPlan, switch: &str, name: &str) -> Error {
    let names: Vec<&str> = plan.sinks.iter().map(|sink| sink.name.as_str()).collect();
    let there = match names.as_slice() {
        [] => "no sink is configured".to_owned(),
        names => format!("there are {}", names.join(", ")),
    };
    Error::Usage(anyhow!("{switch}: there is no sink {name:?}; {there}"))
}

/// Has dead letters delivered again, by the sidecar that runs or by the next.
pub(super) async fn redeliver(plan: &WatchPlan, sink: Option<&str>) -> Result<Ending, Error> {
    let (path, name) = (plan.store.clone(), sink.map(str::to_owned));
    let work = move || Store::redeliver(&path, Timestamp::now(), name.as_deref());
    let done = tokio::task::spawn_blocking(work).await;
    let counts = done.map_err(|_| Error::Lost)??;
    let mut text = String::new();
    for (name, count) in &counts {
        let name = one_line(name);
        let known = plan.sinks.iter().any(|sink| sink.name == name);
        let unknown = if known {
            ""
        } else {
            ", which is not in this configuration"
        };
        let events = if *count == 1 {
            "event waits"
        } else {
            "events wait"
        };
        let _ = writeln!(text, "{count} {events} for the sink {name} again{unknown}");
    }
    if counts.is_empty() {
        if let Some(name) = sink
            && !plan.sinks.iter().any(|sink| sink.name == name)
        {
            return Err(no_sink(plan, "--redeliver", name));
        }
        text = match sink {
            Some(name) => format!("there are no dead letters of a sink {:?}\n", one_line(name)),
            None => "there are no dead letters\n".to_owned(),
        };
    }
    super::print(&text)
}

/// Asks the sidecar of this configuration whether it knows what it is there to know.
pub(super) async fn health(plan: &WatchPlan) -> Result<Ending, Error> {
    let Listen::At(address) = plan.listen else {
        return Err(Error::Unhealthy(
            "it has no endpoints: listen is off".to_owned(),
        ));
    };
    let host = match address {
        SocketAddr::V4(at) if at.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(at) if at.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => address.ip(),
    };
    let token = plan.http_token()?;
    let asked = ask(SocketAddr::new(host, address.port()), token.as_deref());
    let answer = timeout(PATIENCE, asked).await;
    let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let answer = answer
        .map_err(|error| Error::Unhealthy(format!("nobody answers at {address}: {error}")))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    if head.split(' ').nth(1) == Some("200") {
        if body["status"] != "ready" {
            let why = format!("what answers at {address} is no sidecar");
            return Err(Error::Unhealthy(why));
        }
        return super::print("healthy\n");
    }
    let faults = body["faults"].as_array().into_iter().flatten();
    let faults: Vec<String> = faults
        .filter_map(|fault| Some(one_line(fault.as_str()?)))
        .collect();
    Err(Error::Unhealthy(match faults.as_slice() {
        [] if body["status"] == "not-ready" => {
            "it says why only to those with its token: give --http-token-file as well".to_owned()
        }
        [] => format!(
            "the answer is {}",
            one_line(head.lines().next().unwrap_or_default())
        ),
        faults => faults.join("; "),
    }))
}

async fn ask(address: SocketAddr, token: Option<&str>) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let bearer = token.map_or_else(String::new, |token| {
        format!("authorization: Bearer {token}\r\n")
    });
    let request =
        format!("GET /readyz HTTP/1.1\r\nhost: {address}\r\n{bearer}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    let mut stream = stream.take(MAX_ANSWER);
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
