//! The sidecar's endpoints: what probes, Prometheus and scripts may ask of it.
//!
//! Without a token it listens on loopback unless asked otherwise, and there it answers only requests
//! that name this machine, so that no page in a browser can read it through a rebound name. All that a
//! caller can take is bounded: a connection brings one request, has one deadline for all of it up to the
//! answer's last byte, and is one of a few.

mod actions;
mod answer;
mod badge;
mod guard;
mod lists;
mod page;
mod query;
mod routes;
#[cfg(test)]
mod tests;
mod token;
mod views;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;

use self::routes::Place;
pub(crate) use self::token::{Token, read_token};
use super::{Shared, StoreHandle};
use crate::adapters::api::connection::Connection;
use crate::adapters::metrics::Metrics;
use crate::core::fleet::{Origin, PublicUrl};

/// The most that the head of a request may take.
const MAX_HEAD: usize = 16 * 1024;
/// How long the answers that are under way have when it ends.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(1);

/// What the endpoints show.
pub(crate) struct Endpoints {
    pub(crate) shared: Arc<Shared>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) store: StoreHandle,
    pub(crate) connection: Connection,
    /// Where events come from.
    pub(crate) origin: Origin,
    pub(crate) access: Arc<Access>,
}

/// Who may ask.
#[derive(Debug, Default)]
pub(crate) struct Access {
    /// Without it, whoever can reach the sidecar.
    pub(crate) token: Option<Token>,
    /// Where people find the page: its host is another name of this machine.
    pub(crate) public_url: Option<PublicUrl>,
}

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
    pub(crate) time: Duration,
    /// How long the head of a request may take.
    pub(crate) head: Duration,
    /// How many connections there may be at once; others wait.
    pub(crate) connections: usize,
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
    /// Whether another start may succeed: the address is free, or there, by then.
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
            head: Duration::from_secs(2),
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
        endpoints: Endpoints,
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
            router: routes::router(Arc::new(endpoints), address.ip(), limits.time),
            limits,
        })
    }

    /// Where it listens; of port 0, the port that was given.
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` is over; what is under way then has a moment to end.
    pub(crate) async fn serve(mut self, shutdown: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(self.limits.connections.max(1)));
        let mut connections = JoinSet::new();
        tokio::pin!(shutdown);
        loop {
            let accepted = async {
                // The semaphore is never closed.
                let place = Arc::clone(&places).acquire_owned().await.ok();
                (Listener::accept(&mut self.listener).await, place)
            };
            let ((stream, _), place) = tokio::select! {
                accepted = accepted => accepted,
                // Those that are over are let go of at once.
                Some(_) = connections.join_next() => continue,
                () = &mut shutdown => break,
            };
            connections.spawn(serve_connection(
                stream,
                self.router.clone(),
                self.limits,
                place,
            ));
        }
        drop(self.listener);
        let ended = async { while connections.join_next().await.is_some() {} };
        // Whoever is not done by then is cut off with the set.
        let _ = timeout(SHUTDOWN_GRACE, ended).await;
    }
}

/// Answers one request, unless the time is up before.
async fn serve_connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    place: Option<OwnedSemaphorePermit>,
) {
    let router = TowerToHyperService::new(router);
    let own = Place::default();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(own.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .half_close(true)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(MAX_HEAD)
        .max_header_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    // A caller who is gone, talks nonsense or is too slow gets no more than this.
    let _ = timeout(limits.time, connection).await;
    drop(place);
}
