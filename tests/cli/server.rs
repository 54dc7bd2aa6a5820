//! An API that answers as a test wants, and remembers what it was asked.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::http;
use crate::support::http::{Request, answer, send};
use crate::support::shared::Shared;

/// A server on loopback that hands the `n`th request, from 0 on, to a test's handler.
pub(crate) struct Server {
    address: SocketAddr,
    seen: Arc<Shared<Vec<(Instant, Request)>>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::start_with(move |number, _, stream| handler(number, stream))
    }

    /// A server whose answer depends on the request.
    pub(crate) fn answering(answer: impl Fn(&Request) -> String + Send + Sync + 'static) -> Self {
        Self::start_with(move |_, request, stream| send(stream, &answer(request)))
    }

    fn start_with(
        handler: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Shared::<Vec<_>>::default());
        let shared = Arc::clone(&seen);
        let address = http::serve(move |request, stream| {
            let number = shared.change(|seen| {
                seen.push((Instant::now(), request.clone()));
                seen.len() - 1
            });
            handler(number, &request, stream);
        });
        Self { address, seen }
    }

    /// The address of the API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        let seen = self.seen.lock();
        seen.iter().map(|(_, request)| request.clone()).collect()
    }

    /// When each request came.
    pub(crate) fn times(&self) -> Vec<Instant> {
        let seen = self.seen.lock();
        seen.iter().map(|(at, _)| *at).collect()
    }

    /// Waits until there were so many requests.
    pub(crate) fn wait_for_requests(&self, count: usize) {
        self.seen.wait_for(
            |seen| (seen.len() >= count).then_some(()),
            |seen| format!("{} requests came, and {count} were to", seen.len()),
        );
    }
}

/// The answer of an agent that is ready, or not yet.
pub(crate) fn agent(ready: bool) -> String {
    let body = format!(
        r#"{{"name":"my-agent","ready":{ready},"available":true,
            "desiredDeploymentId":"new","reconciledDeploymentId":"new",
            "currentRevision":{{"deploymentID":"new","phase":"Validating","readyReplicas":1}}}}"#
    );
    answer("200 OK", "Content-Type: application/json\r\n", &body)
}

/// Answers one request after the other, the last for ever.
pub(crate) fn play(answers: Vec<String>) -> Server {
    Server::start(move |number, stream| {
        send(stream, answers.get(number).or(answers.last()).unwrap());
    })
}

/// The answer of an agent that is not ready, with these changes.
pub(crate) fn details(changes: &Value) -> String {
    let mut body = json!({
        "name": "my-agent", "ready": false, "available": true,
        "desiredDeploymentId": "new", "reconciledDeploymentId": "new",
    });
    for (key, value) in changes.as_object().unwrap() {
        body[key] = value.clone();
    }
    answer(
        "200 OK",
        "Content-Type: application/json\r\n",
        &body.to_string(),
    )
}

/// The answer of an agent whose target's revision is in this phase.
pub(crate) fn revision(phase: &str, health: &Value) -> String {
    details(&json!({"currentRevision": {
        "deploymentID": "new", "phase": phase, "readyReplicas": 0, "health": health,
    }}))
}

/// The answer of an agent whose target crashes with this message.
pub(crate) fn crashing(restarts: u64, message: &str) -> String {
    revision(
        "Validating",
        &json!({
            "state": "waiting", "reason": "CrashLoopBackOff", "restartCount": restarts, "replicasStarted": 1,
            "lastExitCode": 1, "lastTerminationReason": "Error", "message": message,
        }),
    )
}

/// What a crash may write to do harm.
pub(crate) fn hostile() -> String {
    let mut lines: Vec<String> = (0..18_000)
        .map(|line| format!("  filler {line} \u{1b}[5m"))
        .collect();
    for line in [
        "::error::owned",
        "##[error]owned",
        "::stop-commands::x",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}2J",
        "\u{202e}txt.exe",
        "\r::add-mask::x",
        "```",
        "</details>",
        "ModuleNotFoundError: No module named 'x'",
    ] {
        lines.push(line.to_owned());
    }
    lines.join("\n")
}
