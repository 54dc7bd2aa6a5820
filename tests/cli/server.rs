//! A server that answers as a test wants, down to the bytes and resets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    /// Request line and headers.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A server on loopback that hands the `n`th request, from 0 on, to a test's handler.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(usize, &mut TcpStream) + Send + Sync + 'static) -> Self {
        Self::start_with(move |number, _, stream| handler(number, stream))
    }

    /// A server that answers by the head of a request.
    pub(crate) fn start_by_head(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::start_with(move |_, head, stream| send(stream, &answer(head)))
    }

    fn start_with(handler: impl Fn(usize, &str, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, handler) = (Arc::clone(&requests), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                thread::spawn(move || serve(stream, &seen, &*handler));
            }
        });
        Self { address, requests }
    }

    /// The address of the API.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// One request a connection: the answers say that it closes.
fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    handler: &impl Fn(usize, &str, &mut TcpStream),
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(head) = read_head_from(&mut reader) else {
        return;
    };
    // What is left unread would reset the connection.
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    let number = {
        let mut seen = seen.lock().unwrap();
        seen.push(Request {
            at: Instant::now(),
            head: head.clone(),
            body,
        });
        seen.len() - 1
    };
    handler(number, &head, &mut stream);
}

pub(crate) fn read_head(stream: impl Read) -> Option<String> {
    read_head_from(&mut BufReader::new(stream))
}

fn read_head_from(reader: &mut impl BufRead) -> Option<String> {
    let mut head = String::new();
    loop {
        let start = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[start..].trim().is_empty() {
            return Some(head);
        }
    }
}

/// An answer with this status line, these headers (each ended by CRLF) and this body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
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

/// Sends text; that the client has hung up is its own affair.
pub(crate) fn send(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
}

/// Ends a connection with a reset instead of a farewell.
pub(crate) fn reset(stream: &TcpStream) {
    let socket = socket2::SockRef::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}
