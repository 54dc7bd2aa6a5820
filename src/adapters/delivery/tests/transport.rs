//! Receivers that are not there, hang, break off or never come to an end.
//!
//! Where the clock is paused it stands still while a blocking task runs, then jumps to the next
//! limit: no test waits for one.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::mpsc;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::receiver::send;
use super::*;

#[tokio::test(start_paused = true)]
async fn an_attempt_ends_with_its_timeout_and_a_failure_may_be_silent_about_why() {
    // Before any answer, and in the midst of one that says what it means.
    for (begun, reason, failure, seconds) in [
        (
            "",
            "it took longer than 20.0s",
            DeliveryFailure::TimedOut,
            20,
        ),
        (
            "HTTP/1.1 400 X\r\nContent-Length: 9\r\n\r\nbegun",
            "the receiver answered 400 Bad Request",
            DeliveryFailure::Refused,
            2,
        ),
    ] {
        let (request_came, requests) = mpsc::channel();
        let receiver = Receiver::start(move |_, stream| {
            send(stream, begun);
            request_came.send(()).unwrap();
            // Until the client hangs up.
            let _ = stream.read(&mut [0]);
        });
        let config = config(
            Kind::Webhook,
            &format!("url = '{}'", receiver.url("/s3cret")),
        );
        let network = network(PlainHttp::LoopbackOnly);
        let sink = Sink::new(config, Some(Duration::from_secs(20)), &network).unwrap();
        let before = Instant::now();
        let event = event();
        let attempt = async { (deliver(&sink, &event).await, before.elapsed()) };
        let request = spawn_blocking(move || requests.recv().unwrap());
        let ((delivered, elapsed), request) = tokio::join!(attempt, request);
        request.unwrap();
        let error = delivered.unwrap_err();
        assert_eq!((error.reason.as_str(), error.failure), (reason, failure));
        assert_eq!(elapsed.as_secs(), seconds);
    }
}

/// Linux leaves a connection unanswered that does not fit the queue of a listener.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_connection_takes_five_seconds_at_most() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let address = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap().as_socket().unwrap();
    let filling: Vec<Socket> = (0..8)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            let _ = socket.connect(&address.into());
            socket
        })
        .collect();
    let sink = webhook(&format!("http://{address}/s3cret"));
    let before = Instant::now();
    let reason = unavailable(&sink).await;
    assert!(
        reason.starts_with(&format!("cannot connect to {address}: ")),
        "{reason}"
    );
    assert_eq!(before.elapsed().as_secs(), 5);
    drop(filling);
}

#[tokio::test]
async fn nobody_there_is_shown_with_the_host_only() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let reason = unavailable(&webhook(&format!(
        "http://u:s3cret@{address}/s3cret?s3cret"
    )))
    .await;
    let start = format!("cannot connect to {address}: Connection refused");
    assert!(reason.starts_with(&start), "{reason}");
    assert!(!reason.contains("s3cret"));
}

#[tokio::test]
async fn a_connection_that_breaks_is_tried_once_and_shown_without_the_url() {
    let closing = Receiver::start(|_, _| ());
    let resetting = Receiver::start(|_, stream| {
        SockRef::from(&*stream)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
    });
    let babbling = Receiver::start(|_, stream| send(stream, "no HTTP at all\r\n\r\n"));
    for receiver in [closing, resetting, babbling] {
        let reason = unavailable(&webhook(&receiver.url("/s3cret"))).await;
        assert!(reason.starts_with("the connection broke: "), "{reason}");
        assert!(!reason.contains("s3cret") && !reason.contains("http://"));
        receiver.request();
    }
}

#[tokio::test]
async fn a_success_counts_at_its_head() {
    let (hung_up, end) = mpsc::channel();
    let receiver = Receiver::start(move |_, stream| {
        send(stream, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbegun");
        // Until the client hangs up.
        let _ = stream.read(&mut [0]);
        hung_up.send(()).unwrap();
    });
    let sink = webhook(&receiver.url("/"));
    assert_eq!(deliver(&sink, &event()).await, Ok(()));
    spawn_blocking(move || end.recv().unwrap()).await.unwrap();
}

/// The receiver may close one that is kept at any time, just when the next event goes there.
#[tokio::test]
async fn no_connection_is_kept() {
    let (hung_up, end) = mpsc::channel();
    let receiver = Receiver::start(move |_, stream| {
        send(stream, "HTTP/1.1 204 No Content\r\n\r\n");
        hung_up.send(stream.read(&mut [0]).unwrap()).unwrap();
    });
    let sink = webhook(&receiver.url("/"));
    for _ in 0..2 {
        assert_eq!(deliver(&sink, &event()).await, Ok(()));
    }
    let more = spawn_blocking(move || end.recv().unwrap()).await.unwrap();
    assert_eq!(more, 0);
}

#[tokio::test]
async fn an_endless_answer_is_not_heard_out() {
    let (hung_up, end) = mpsc::channel();
    let receiver = Receiver::start(move |_, stream| {
        send(stream, "HTTP/1.1 500 X\r\n\r\n");
        let mut sent = 0;
        while stream.write_all(&[b'x'; 1024]).is_ok() && sent < 1 << 30 {
            sent += 1024;
        }
        hung_up.send(sent).unwrap();
    });
    let reason = unavailable(&webhook(&receiver.url("/"))).await;
    assert_eq!(reason, "the receiver answered 500 Internal Server Error");
    // Buffers take some of it, but the client hung up long before the end.
    let sent = spawn_blocking(move || end.recv().unwrap()).await.unwrap();
    assert!(sent < 1 << 30, "{sent}");
}

/// Runs in a process of its own, since a test must not change the environment of the others.
#[test]
fn no_proxy_sees_what_is_not_encrypted() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let name = "adapters::delivery::tests::transport::no_proxy_sees_what_is_not_encrypted";
    drop(proxy);
    let variables = ["http_proxy", "ALL_PROXY"].map(|name| (name, url.as_str()));
    again_with(&variables, name, || {
        let receiver = Receiver::answering("200 OK", "", "");
        let sink = webhook(&receiver.url("/"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let delivered = runtime.unwrap().block_on(deliver(&sink, &event()));
        assert_eq!(delivered, Ok(()));
    });
}
