//! A receiver of webhooks, down to the bytes and resets.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(super) struct Request {
    /// Method and target.
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: String,
}

/// A server on loopback that hands each request to a handler, one connection a request.
pub(super) struct Receiver {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    pub(super) fn start(handler: impl Fn(&Request, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let request = Request::read(&stream);
                seen.lock().unwrap().push(request.clone());
                handler(&request, &mut stream);
            }
        });
        Self { port, requests }
    }

    /// A receiver that gives the same answer to all: a status line, headers and a body.
    pub(super) fn answering(status: &str, headers: &str, body: &str) -> Self {
        let answer = answer(status, headers, body);
        Self::start(move |_, stream| send(stream, &answer))
    }

    pub(super) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.host())
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// The one request that came.
    pub(super) fn request(&self) -> Request {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

impl Request {
    fn read(stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut lines = std::iter::from_fn(|| {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let line = line.trim_end().to_owned();
            (!line.is_empty()).then_some(line)
        });
        let mut request = Self {
            line: lines.next().unwrap_or_default(),
            ..Self::default()
        };
        for line in lines {
            let (name, value) = line.split_once(": ").unwrap();
            let header = (name.to_ascii_lowercase(), value.to_owned());
            request.headers.push(header);
        }
        let length = request.header("content-length").unwrap_or("0").parse();
        let mut body = reader.take(length.unwrap());
        body.read_to_string(&mut request.body).unwrap();
        request
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} came twice");
        value
    }
}

/// An answer with this status line, these headers (each ended by CRLF) and this body.
pub(super) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Sends text; that the client has hung up is its own affair.
pub(super) fn send(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
}
