//! A receiver of webhooks that answers as a test wants, and remembers what it was sent.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use serde_json::Value;

use crate::support::http;
use crate::support::http::{Request, answer, send};
use crate::support::shared::Shared;

/// What a receiver does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    /// It takes it.
    Take,
    /// It answers this status, with these headers.
    Status(&'static str, String),
    /// It answers that it does not know the path, and repeats it.
    Repeat,
    /// It never answers.
    Hang,
    /// It hangs up without an answer.
    HangUp,
}

/// An event that was delivered, or of which an attempt was made.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) request: Request,
    pub(crate) event: Value,
    /// Whether it was taken.
    pub(crate) taken: bool,
}

impl Received {
    pub(crate) fn id(&self) -> &str {
        self.event["id"].as_str().unwrap()
    }

    /// The last part of its type, and what says most about it.
    pub(crate) fn line(&self) -> String {
        let kind = self.event["type"].as_str().unwrap();
        let kind = kind.strip_prefix("dev.pipecat-rollout.").unwrap();
        let data = &self.event["data"];
        let word = |key: &str| data[key].as_str().map(|word| format!(" {word}"));
        let more = word("verdict")
            .or_else(|| word("phase"))
            .unwrap_or_default();
        let deployment = word("deploymentId").unwrap_or_default();
        format!(
            "{}{deployment} {kind}{more}",
            data["agent"].as_str().unwrap_or("-")
        )
    }
}

/// A receiver.
pub(crate) struct Receiver {
    address: SocketAddr,
    received: Arc<Shared<Vec<Received>>>,
}

impl Receiver {
    /// A receiver that takes everything.
    pub(crate) fn start() -> Self {
        Self::replying(|_, _| Reply::Take)
    }

    /// A receiver that does with the `n`th event, from 0 on, what the test says.
    pub(crate) fn replying(reply: impl Fn(usize, &Value) -> Reply + Send + Sync + 'static) -> Self {
        let received = Arc::new(Shared::default());
        let serving = Arc::clone(&received);
        let address = http::serve(move |request, stream| serve(&serving, &reply, request, stream));
        Self { address, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Waits until what was received fits; gives all of it.
    pub(crate) fn wait_for(&self, enough: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        self.received.wait_for(
            |received| enough(received).then(|| received.clone()),
            |received| {
                let lines: Vec<String> = received.iter().map(Received::line).collect();
                format!("that never came; this did:\n{}", lines.join("\n"))
            },
        )
    }

    /// Waits until these have been taken, whatever else there was in between, and gives the lines
    /// of all that were.
    pub(crate) fn wait_for_line(&self, line: &str) -> Vec<String> {
        let received =
            self.wait_for(|received| received.iter().any(|one| one.taken && one.line() == line));
        received
            .iter()
            .filter(|one| one.taken)
            .map(Received::line)
            .collect()
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }
}

fn serve(
    received: &Shared<Vec<Received>>,
    reply: &impl Fn(usize, &Value) -> Reply,
    request: Request,
    stream: &mut TcpStream,
) {
    let event = request.json();
    let path = request.path.clone();
    let reply = received.change(|received| {
        let reply = reply(received.len(), &event);
        let taken = matches!(reply, Reply::Take);
        received.push(Received {
            request,
            event,
            taken,
        });
        reply
    });
    match reply {
        Reply::Take => send(stream, &answer("204 No Content", "", "")),
        Reply::Status(status, headers) => send(stream, &answer(status, &headers, "")),
        Reply::Repeat => {
            let body = format!("Cannot POST {path}");
            let plain = "content-type: text/plain\r\n";
            send(stream, &answer("404 Not Found", plain, &body));
        }
        Reply::Hang => loop {
            std::thread::park();
        },
        Reply::HangUp => {}
    }
}
