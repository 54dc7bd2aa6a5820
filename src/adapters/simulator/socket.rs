//! Connections that can be broken on purpose: reset, or ended in the middle of an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use super::script::CutAfter;

/// How a connection is to break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Break {
    /// With a TCP reset.
    Reset(CutAfter),
    /// In good order, as a proxy does that lost its backend.
    Close(CutAfter),
}

/// Breaks the connection that a request came by, while its answer is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Breaker(Arc<Mutex<Option<Break>>>);

impl Breaker {
    /// Has the answer to the present request end this way.
    pub(super) fn break_off(&self, how: Break) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(how);
    }

    fn wanted(&self) -> Option<Break> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener whose connections have a [`Breaker`].
#[derive(Debug)]
pub(super) struct BreakableListener(pub(super) TcpListener);

impl Listener for BreakableListener {
    type Io = Breakable;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Breakable, SocketAddr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        // Small answers are not to wait for more to send; a failure costs speed only.
        let _ = stream.set_nodelay(true);
        let connection = Breakable {
            stream,
            breaker: Breaker::default(),
            left: None,
        };
        (connection, peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, BreakableListener>> for Breaker {
    fn connect_info(connection: IncomingStream<'_, BreakableListener>) -> Self {
        connection.io().breaker.clone()
    }
}

/// A connection that breaks when its [`Breaker`] says so.
#[derive(Debug)]
pub(super) struct Breakable {
    stream: TcpStream,
    breaker: Breaker,
    /// How many bytes are still sent before it breaks, once that is known.
    left: Option<usize>,
}

impl AsyncRead for Breakable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

/// The server writes head and body in one piece where they fit, since vectored writes are not
/// offered; so the first write after the breaker was set tells how long each is.
impl AsyncWrite for Breakable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(how) = self.breaker.wanted() else {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        };
        let (Break::Reset(after) | Break::Close(after)) = how;
        let left = *self.left.get_or_insert_with(|| sent(after, bytes));
        if left == 0 {
            if matches!(how, Break::Reset(_)) {
                self.stream.set_zero_linger()?;
            }
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let bytes = &bytes[..left.min(bytes.len())];
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(context, bytes))?;
        self.left = Some(left - written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// How many bytes of an answer are sent.
fn sent(after: CutAfter, answer: &[u8]) -> usize {
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let head = answer
        .windows(END_OF_HEAD.len())
        .position(|bytes| bytes == END_OF_HEAD)
        .map_or(answer.len(), |end| end + END_OF_HEAD.len());
    match after {
        CutAfter::Nothing => 0,
        CutAfter::HalfHead => head / 2,
        CutAfter::Head => head,
        CutAfter::HalfBody => head + (answer.len() - head) / 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_where_it_is_asked_to_be() {
        let answer = b"HTTP/1.1 200 OK\r\n\r\n{\"a\":1}x";
        let cuts = [
            CutAfter::Nothing,
            CutAfter::HalfHead,
            CutAfter::Head,
            CutAfter::HalfBody,
        ];
        assert_eq!(cuts.map(|after| sent(after, answer)), [0, 9, 19, 23]);
        assert_eq!(cuts.map(|after| sent(after, b"cut")), [0, 1, 3, 3]);
    }
}
