//! The sidecar's endpoints: what probes, Prometheus and scripts may ask of it.
//!
//! There is no password: it listens on loopback unless asked otherwise, and there it answers only
//! those who call it by a name of this machine, lest a page in a browser read it by way of a
//! rebound name. All that a caller can take is bounded: a connection brings one request, has one
//! deadline for all of it up to the answer's last byte, and is one of a few.

mod answer;
mod guard;
mod query;
mod routes;
mod sources;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use self::routes::ListPlace;

pub(crate) use self::query::{AgentsQuery, RolloutsQuery};
pub(crate) use self::sources::{Liveness, LoopBeat, Page, Readiness, Sources, Unanswered};

/// The most that the head of a request may take.
const MOST_HEAD: usize = 16 * 1024;
/// How long to wait when no more connections can be had, of the system's open files for example.
const EXHAUSTED: Duration = Duration::from_millis(200);
/// How long the answers that are under way have when it ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// The endpoints, listening.
#[derive(Debug)]
pub(crate) struct Http {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    limits: Limits,
}

/// What callers can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// How long a connection may last, up to the last byte of the answer.
    pub time: Duration,
    /// How long a connection may say nothing where all are taken and another waits.
    pub silence: Duration,
    /// How many connections there may be at once; others wait.
    pub connections: usize,
}

/// Why the endpoints cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    /// Another program listens there.
    #[error(
        "cannot listen on {0}: another program does, perhaps another sidecar; --listen takes another address"
    )]
    Taken(SocketAddr),
    /// The address cannot be had.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where it was to listen.
        address: SocketAddr,
        /// Why it cannot.
        #[source]
        source: io::Error,
    },
}

impl HttpError {
    /// Whether another start may find it mended: the address is free, or there, by then.
    #[must_use]
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Taken(_) => true,
            Self::Bind { source, .. } => source.kind() != io::ErrorKind::PermissionDenied,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: Duration::from_secs(10),
            silence: Duration::from_secs(1),
            connections: 64,
        }
    }
}

impl Http {
    /// Takes the address; from then on connections wait until [`Http::serve`] answers them.
    ///
    /// # Errors
    /// When the address is taken, or cannot be had.
    pub(crate) async fn bind(
        address: SocketAddr,
        sources: Sources,
        limits: Limits,
    ) -> Result<Self, HttpError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => HttpError::Taken(address),
            _ => HttpError::Bind { address, source },
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self {
            listener,
            address,
            router: routes::router(Arc::new(sources), address.ip(), limits.time),
            limits,
        })
    }

    /// Where it listens; of port 0, the port that was given.
    #[must_use]
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` is over; what is under way then has a moment to end.
    pub(crate) async fn serve(self, shutdown: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(self.limits.connections.max(1)));
        let mut connections = JoinSet::new();
        let mut silent = Silent {
            connections: VecDeque::new(),
            patience: self.limits.silence,
        };
        tokio::pin!(shutdown);
        loop {
            let stream = tokio::select! {
                stream = accept(&self.listener) => stream,
                // Those that are over are let go of at once.
                Some(_) = connections.join_next() => continue,
                () = &mut shutdown => break,
            };
            let place = tokio::select! {
                place = silent.place(&places) => place,
                () = &mut shutdown => break,
            };
            let (router, time) = (self.router.clone(), self.limits.time);
            let asked = Arc::new(AtomicBool::new(false));
            let talk = converse(stream, router, time, Arc::clone(&asked), place);
            silent.add(asked, connections.spawn(talk));
        }
        drop(self.listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        // Whoever is not done by then is cut off with the set.
        let _ = timeout(FAREWELL, ended).await;
    }
}

/// The connections that have not asked for anything yet, the oldest first.
struct Silent {
    connections: VecDeque<Connected>,
    /// How long they may be silent where others wait.
    patience: Duration,
}

struct Connected {
    at: Instant,
    asked: Arc<AtomicBool>,
    talk: AbortHandle,
}

impl Silent {
    fn add(&mut self, asked: Arc<AtomicBool>, talk: AbortHandle) {
        let at = Instant::now();
        self.connections.push_back(Connected { at, asked, talk });
    }

    /// A place for a connection. Where all are taken, one that has been silent for too long gives
    /// way, lest a few that say nothing keep a probe from its answer; or the next that is over.
    async fn place(&mut self, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(places).acquire_owned();
        tokio::pin!(place);
        loop {
            self.connections
                .retain(|one| !one.asked.load(Ordering::Relaxed) && !one.talk.is_finished());
            let oldest = self.connections.front().map(|one| one.at + self.patience);
            tokio::select! {
                biased;
                // The semaphore is never closed.
                place = &mut place => return place.ok(),
                () = sleep_until(oldest.unwrap_or_else(Instant::now)), if oldest.is_some() => {}
            }
            // It may have asked meanwhile.
            if let Some(oldest) = self.connections.pop_front()
                && !oldest.asked.load(Ordering::Relaxed)
            {
                oldest.talk.abort();
                // Its place is free once it is gone.
                return place.await.ok();
            }
        }
    }
}

/// The next connection.
async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_of_one_connection(&error) => {}
            Err(_) => sleep(EXHAUSTED).await,
        }
    }
}

/// Whether it went wrong with one connection only.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// Answers one request, unless the time is up before.
async fn converse(
    stream: TcpStream,
    router: Router,
    time: Duration,
    asked: Arc<AtomicBool>,
    place: Option<OwnedSemaphorePermit>,
) {
    let router = TowerToHyperService::new(router);
    let list = ListPlace::default();
    let service = service_fn(move |mut request: Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(list.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .max_buf_size(MOST_HEAD)
        .max_header_size(MOST_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // A caller who is gone, talks nonsense or is too slow gets no more than this.
    let _ = timeout(time, connection).await;
    drop(place);
}

#[cfg(test)]
mod tests;
