//! The receivers of the demo's events: one takes everything, the other refuses some until they are sent again.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;

/// How often an event is refused: as often as it is tried before it is set aside.
const REFUSALS: u32 = 5;

/// How often each event was refused, by its id.
type Refused = Arc<Mutex<HashMap<String, u32>>>;

pub(super) struct Receiver {
    listener: TcpListener,
}

impl Receiver {
    pub(super) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { listener })
    }

    /// The sinks that deliver to it.
    pub(super) fn config(&self) -> String {
        let port = self
            .listener
            .local_addr()
            .map_or(0, |address| address.port());
        format!(
            "[[sink]]\nname = \"chat\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/chat\"\n\
             [[sink]]\nname = \"pager\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/pager\"\n\
             events = [\"rollout.finished\", \"agent.*\"]\n"
        )
    }

    pub(super) async fn serve(self) {
        let router = Router::new()
            .route("/chat", post(|| async { StatusCode::NO_CONTENT }))
            .route("/pager", post(pager))
            .with_state(Refused::default());
        let _ = axum::serve(self.listener, router).await;
    }
}

async fn pager(State(refused): State<Refused>, headers: HeaderMap) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let id = id.unwrap_or_default();
    // One of four.
    if id.bytes().last().is_none_or(|last| last % 4 != 0) {
        return StatusCode::NO_CONTENT;
    }
    let mut refused = refused.lock().unwrap_or_else(PoisonError::into_inner);
    let count = refused.entry(id.to_owned()).or_default();
    *count += 1;
    if *count > REFUSALS {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    }
}
