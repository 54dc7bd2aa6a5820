//! A server that keeps its connections, and can be moved, ended and started anew at its address.

use std::io::{BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::{Value, json};

use crate::support::http::read_request;

/// A server of one agent, `my-agent`, at an address.
pub(crate) struct Station {
    address: SocketAddr,
    shared: Arc<State>,
    door: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    shown: Mutex<Shown>,
    connections: Mutex<Vec<TcpStream>>,
}

#[derive(Default)]
struct Shown {
    ready: bool,
    deployment: &'static str,
    requests: usize,
    ended: bool,
}

impl Station {
    /// A server at a free port of this host, which shows this deployment.
    pub(crate) fn at(host: &str, deployment: &'static str) -> Self {
        let free: SocketAddr = format!("{host}:0").parse().unwrap();
        Self::open(free, deployment, false)
    }

    /// A server at this address, which shows this deployment, ready.
    pub(crate) fn ready_at(address: SocketAddr, deployment: &'static str) -> Self {
        Self::open(address, deployment, true)
    }

    fn open(address: SocketAddr, deployment: &'static str, ready: bool) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(State::default());
        {
            let mut shown = shared.shown.lock().unwrap();
            shown.deployment = deployment;
            shown.ready = ready;
        }
        let serving = Arc::clone(&shared);
        let door = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.shown.lock().unwrap().ended {
                    return;
                }
                let kept = stream.try_clone().unwrap();
                serving.connections.lock().unwrap().push(kept);
                let serving = Arc::clone(&serving);
                thread::spawn(move || serving.serve(&stream));
            }
        });
        Self {
            address,
            shared,
            door: Some(door),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    pub(crate) fn requests(&self) -> usize {
        self.shared.shown.lock().unwrap().requests
    }

    /// Ends it, and every connection to it: from now on its address refuses.
    pub(crate) fn end(mut self) {
        self.shared.shown.lock().unwrap().ended = true;
        // Who waits at the door is woken by a last visitor.
        let _ = TcpStream::connect(self.address);
        self.door.take().unwrap().join().unwrap();
        for connection in self.shared.connections.lock().unwrap().iter() {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl State {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            let body = self.answer(&request.path).to_string();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut stream = stream;
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, path: &str) -> Value {
        let mut shown = self.shown.lock().unwrap();
        shown.requests += 1;
        let (deployment, ready) = (shown.deployment, shown.ready);
        let details = details(deployment, ready);
        if path.ends_with("/agents") {
            json!({ "services": [details] })
        } else {
            details
        }
    }
}

/// The details of an agent with this deployment.
pub(crate) fn details(deployment: &str, ready: bool) -> Value {
    json!({
        "id": "id-of-my-agent", "name": "my-agent", "ready": ready,
        "desiredDeploymentId": deployment, "reconciledDeploymentId": deployment,
    })
}
