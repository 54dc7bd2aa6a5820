//! Connections that can be reset: the service fails, and the socket is closed without its good-bye.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Duration, sleep};

/// How long to wait where no connection can be accepted, without file descriptors for example.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The mark of an answer in whose place the connection is reset.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("reset on purpose")]
struct Reset;

/// An answer in whose place the connection is reset.
pub(super) fn reset() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(Reset);
    response
}

/// Answers the requests of all connections, for ever.
pub(super) async fn serve(listener: TcpListener, router: Router) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(converse(stream, router.clone()));
            }
            Err(_) => sleep(EXHAUSTED).await,
        }
    }
}

async fn converse(stream: TcpStream, router: Router) {
    // Small answers do not wait for more to send; a failure costs speed only.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let response = router.call(request);
        async move {
            // The router refuses nothing: what goes wrong is an answer.
            let Ok(response) = response.await;
            match response.extensions().get::<Reset>() {
                Some(reset) => Err(*reset),
                None => Ok(response),
            }
        }
    });
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = (&mut connection).await;
    if ended.is_err_and(|error| error.is_user()) {
        let stream = connection.into_parts().io.into_inner();
        // Closed with this, a socket sends a reset.
        let _ = stream.set_zero_linger();
    }
}
