//! A proxy that spoils what passes through it, in a way that a seed decides for every request.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::support::http::{Request, answer, reset, send};
use crate::support::{KEY, http};

/// How many answers in a row may be from the past: one less than what has to be believed.
const MOST_STALE: usize = 2;

/// What is done to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Delay,
    /// A few bytes at a time.
    Drip,
    /// Only a part of it.
    Cut,
    /// A reset in the midst of it.
    Reset,
    /// No answer, and a farewell.
    HangUp,
    /// No answer, and no farewell either.
    BlackHole,
    ServerError,
    Patience,
    /// Something else in its place.
    Garbage,
    /// An answer from the past.
    Stale,
}

/// A proxy before a simulator.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<State>,
}

struct State {
    upstream: String,
    seed: u64,
    paths: Mutex<BTreeMap<String, Past>>,
    done: Mutex<BTreeMap<Fault, usize>>,
}

/// What was answered for a path.
#[derive(Default)]
struct Past {
    asked: u64,
    answers: Vec<String>,
    stale_in_a_row: usize,
}

impl Proxy {
    /// A proxy before the API at `url`.
    pub(crate) fn before(url: &str, seed: u64) -> Self {
        let upstream = url.strip_prefix("http://").unwrap();
        let shared = Arc::new(State {
            upstream: upstream.split('/').next().unwrap().to_owned(),
            seed,
            paths: Mutex::default(),
            done: Mutex::default(),
        });
        let serving = Arc::clone(&shared);
        let address = http::serve(move |request, stream| serving.serve(&request, stream));
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// How often each fault was done.
    pub(crate) fn done(&self) -> BTreeMap<Fault, usize> {
        self.shared.done.lock().unwrap().clone()
    }
}

impl State {
    fn serve(&self, request: &Request, stream: &mut TcpStream) {
        let Some(whole) = self.fetch(&request.path) else {
            return;
        };
        let (fault, whole) = self.decide(&request.path, whole);
        if let Some(fault) = fault {
            *self.done.lock().unwrap().entry(fault).or_default() += 1;
        }
        let half = whole.len() / 2;
        match fault {
            None | Some(Fault::Stale) => send(stream, &whole),
            Some(Fault::Delay) => {
                thread::sleep(Duration::from_millis(300));
                send(stream, &whole);
            }
            Some(Fault::Drip) => {
                for part in whole.as_bytes().chunks(whole.len() / 20 + 1) {
                    let _ = stream.write_all(part);
                    thread::sleep(Duration::from_millis(20));
                }
            }
            Some(Fault::Cut) => drop(stream.write_all(&whole.as_bytes()[..half])),
            Some(Fault::Reset) => {
                let _ = stream.write_all(&whole.as_bytes()[..half]);
                reset(stream);
            }
            Some(Fault::HangUp) => {}
            Some(Fault::BlackHole) => thread::sleep(Duration::from_secs(15)),
            Some(Fault::ServerError) => send(stream, &answer("502 Bad Gateway", "", "<html>")),
            Some(Fault::Patience) => {
                let pause = "retry-after: 1\r\n";
                send(stream, &answer("429 Too Many Requests", pause, "{}"));
            }
            Some(Fault::Garbage) => send(stream, &answer("200 OK", "", "<html>not JSON</html>")),
        }
    }

    /// What the simulator answers now.
    fn fetch(&self, path: &str) -> Option<String> {
        let key = format!("authorization: Bearer {KEY}\r\n");
        http::exchange(&self.upstream, "GET", path, &key)
    }

    /// What is done to this answer: that depends on the seed, the path, and how often it was asked
    /// for, and on nothing else.
    fn decide(&self, path: &str, whole: String) -> (Option<Fault>, String) {
        let mut paths = self.paths.lock().unwrap();
        let past = paths.entry(path.to_owned()).or_default();
        past.asked += 1;
        let mut hasher = DefaultHasher::new();
        (self.seed, path, past.asked).hash(&mut hasher);
        let dice = hasher.finish();
        let fault = match dice % 1000 {
            0..40 => Some(Fault::Delay),
            40..70 => Some(Fault::Drip),
            70..100 => Some(Fault::Cut),
            100..130 => Some(Fault::Reset),
            130..160 => Some(Fault::HangUp),
            160..163 => Some(Fault::BlackHole),
            163..200 => Some(Fault::ServerError),
            200..210 => Some(Fault::Patience),
            210..230 => Some(Fault::Garbage),
            230..330 => Some(Fault::Stale),
            _ => None,
        };
        let from = usize::try_from(dice / 1000 % 5).unwrap() + 1;
        let stale = past.answers.len().checked_sub(from);
        let fresh = match (fault, stale) {
            (Some(Fault::Stale), Some(place)) if past.stale_in_a_row < MOST_STALE => {
                past.stale_in_a_row += 1;
                return (fault, past.answers[place].clone());
            }
            (Some(Fault::Stale), _) => None,
            _ => fault,
        };
        // What does not arrive as an answer breaks no row.
        if matches!(fresh, None | Some(Fault::Delay | Fault::Drip)) {
            past.stale_in_a_row = 0;
        }
        past.answers.push(whole.clone());
        (fresh, whole)
    }
}
