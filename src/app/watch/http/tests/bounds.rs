//! What callers can take: time, bytes, connections; and how it ends.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::*;
use crate::core::fleet::{EventData, FinishedRollout};

/// Long enough for an answer, short enough for a test.
const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_head_that_does_not_end_is_cut() {
    let served = Served::start(sources(), limits(SHORT, 64)).await;
    for part in [
        "",
        "GET",
        "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    ] {
        let mut stream = served.connect().await;
        stream.write_all(part.as_bytes()).await.unwrap();
        assert_eq!(read(stream).await.head, "", "{part:?}");
    }
}

#[tokio::test]
async fn a_head_in_drops_is_cut_as_well() {
    let served = Served::start(sources(), limits(SHORT, 64)).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    let dripping = async {
        while stream.write_all(b"X: y\r\n").await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, dripping).await.expect("it is cut");
}

#[tokio::test]
async fn whoever_does_not_read_is_cut_and_frees_the_place() {
    let sources = Sources {
        metrics: Box::new(|| "x".repeat(64 * 1024 * 1024)),
        ..sources()
    };
    let served = Served::start(sources, limits(Duration::from_millis(500), 1)).await;
    let mut idle = served.connect().await;
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    idle.write_all(request).await.unwrap();
    // The only place is taken until the time of the other is up.
    assert_eq!(served.get("/livez").await.status, 200);
    let mut got = Vec::new();
    let _ = idle.read_to_end(&mut got).await;
    assert!(got.len() < 64 * 1024 * 1024, "{}", got.len());
}

#[tokio::test]
async fn large_heads_and_bodies_are_refused() {
    let served = Served::start(sources(), Limits::default()).await;
    let head = |length| {
        let filler = "x".repeat(length);
        format!("GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Filler: {filler}\r\n\r\n")
    };
    assert_eq!(served.send(head(8 * 1024)).await.status, 200);
    assert_eq!(served.send(head(17 * 1024)).await.status, 431);
    for body in [
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        let request = format!("GET /livez HTTP/1.1\r\nHost: localhost\r\n{body}");
        assert_eq!(served.send(request).await.status, 413, "{body:?}");
    }
    let request = "GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(served.send(request).await.status, 200);
    for nonsense in [
        "\r\n\r\n\0",
        "GET\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let reply = served.send(nonsense).await;
        assert!(
            matches!(reply.status, 0 | 400),
            "{nonsense:?}: {}",
            reply.head
        );
    }
}

#[tokio::test]
async fn whoever_says_nothing_gives_way_to_others() {
    let served = Served::start(sources(), limits(LONG, 2)).await;
    let mut oldest = served.connect().await;
    oldest.write_all(b"GET /livez HTT").await.unwrap();
    let newer = served.connect().await;
    assert_eq!(served.get("/livez").await.status, 200);
    assert_eq!(read(oldest).await.head, "", "it was cut");
    let mut late = newer;
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    late.write_all(request).await.unwrap();
    assert_eq!(read(late).await.status, 200);
}

#[tokio::test]
async fn others_wait_until_one_of_those_who_asked_is_done() {
    let (asked, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (was_asked, goes_on) = (Arc::clone(&asked), Arc::clone(&go_on));
    let sources = Sources {
        agents: Box::new(move |_| {
            let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
            Box::pin(async move {
                asked.add_permits(1);
                go_on.acquire().await.unwrap().forget();
                Ok(no_page())
            })
        }),
        ..sources()
    };
    let served = Served::start(sources, limits(LONG, 2)).await;
    let (mut first, mut second) = (served.connect().await, served.connect().await);
    let slow = b"GET /v1/agents HTTP/1.1\r\nHost: localhost\r\n\r\n";
    first.write_all(slow).await.unwrap();
    second.write_all(slow).await.unwrap();
    let _both = was_asked.acquire_many(2).await.unwrap();
    let mut third = served.connect().await;
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    third.write_all(request).await.unwrap();
    let mut byte = [0];
    let early = timeout(SHORT, third.peek(&mut byte)).await;
    assert!(early.is_err(), "answered although no place was free");
    goes_on.add_permits(1);
    assert_eq!(read(third).await.status, 200);
    goes_on.add_permits(1);
    assert_eq!(
        (read(first).await.status, read(second).await.status),
        (200, 200)
    );
}

#[tokio::test]
async fn many_are_answered_a_few_at_a_time() {
    const PLACES: usize = 4;
    let (present, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let together = std::sync::Barrier::new(PLACES);
    let highest = Arc::clone(&most);
    let sources = Sources {
        metrics: Box::new(move || {
            let now = present.fetch_add(1, Ordering::SeqCst) + 1;
            highest.fetch_max(now, Ordering::SeqCst);
            together.wait();
            present.fetch_sub(1, Ordering::SeqCst);
            String::new()
        }),
        ..sources()
    };
    // However long it takes until a request is read, nobody is cut.
    let patient = Limits {
        silence: LONG,
        ..limits(LONG, PLACES)
    };
    let served = Arc::new(Served::start(sources, patient).await);
    let mut clients = JoinSet::new();
    for _ in 0..25 * PLACES {
        let served = Arc::clone(&served);
        clients.spawn(async move { served.get("/metrics").await.status });
    }
    assert_eq!(clients.join_all().await, [200; 25 * PLACES]);
    assert_eq!(most.load(Ordering::SeqCst), PLACES);
}

/// A list that no socket's buffers can hold.
fn long_page() -> Page<FinishedRollout, u64> {
    let rollout = FinishedRollout {
        id: String::new(),
        finished_at: Timestamp::UNIX_EPOCH,
        data: EventData {
            agent: "x".repeat(16 * 1024 * 1024),
            ..EventData::default()
        },
    };
    Page {
        items: vec![rollout],
        next: None,
    }
}

#[tokio::test]
async fn two_lists_are_held_at_once_until_they_were_taken() {
    let asked = Arc::new(Semaphore::new(0));
    let was_asked = Arc::clone(&asked);
    let sources = Sources {
        rollouts: Box::new(move |_| {
            asked.add_permits(1);
            Box::pin(async { Ok(long_page()) })
        }),
        ..sources()
    };
    let served = Served::start(sources, limits(LONG, 64)).await;
    let long = b"GET /v1/rollouts HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = served.connect().await;
        stream.write_all(long).await.unwrap();
        // The answer is there, and more of it than was sent.
        stream.peek(&mut [0]).await.unwrap();
        idle.push(stream);
    }
    was_asked.acquire_many(2).await.unwrap().forget();
    let mut third = served.connect().await;
    let short = b"GET /v1/agents HTTP/1.1\r\nHost: localhost\r\n\r\n";
    third.write_all(short).await.unwrap();
    let early = timeout(SHORT, third.peek(&mut [0])).await;
    assert!(early.is_err(), "answered although two lists are held");
    for target in ["/livez", "/metrics"] {
        assert_eq!(served.get(target).await.status, 200, "{target}");
    }
    drop(idle.pop());
    assert_eq!(read(third).await.status, 200);
    assert_eq!(read(idle.remove(0)).await.status, 200);
}

#[tokio::test]
async fn a_list_that_gets_no_turn_in_time_is_refused() {
    let (present, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = Arc::clone(&most);
    let sources = Sources {
        agents: Box::new(move |_| {
            let now = present.fetch_add(1, Ordering::SeqCst) + 1;
            highest.fetch_max(now, Ordering::SeqCst);
            let leaving = Leaving(Arc::clone(&present));
            Box::pin(async move {
                let _leaving = leaving;
                std::future::pending().await
            })
        }),
        ..sources()
    };
    let served = Arc::new(Served::start(sources, limits(20 * SHORT, 64)).await);
    let mut clients = JoinSet::new();
    for _ in 0..20 {
        let served = Arc::clone(&served);
        clients.spawn(async move { served.get("/v1/agents").await.status });
    }
    assert_eq!(clients.join_all().await, [503; 20]);
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

/// One who is counted as present until it is dropped.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn at_the_end_answers_under_way_are_given_and_idlers_cut() {
    let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (was_asked, goes_on) = (Arc::clone(&asked), Arc::clone(&go_on));
    let sources = Sources {
        agents: Box::new(move |_| {
            let (asked, go_on) = (Arc::clone(&asked), Arc::clone(&go_on));
            Box::pin(async move {
                asked.notify_one();
                go_on.notified().await;
                Ok(no_page())
            })
        }),
        ..sources()
    };
    let mut served = Served::start(sources, limits(2 * LONG, 64)).await;
    let idle = served.connect().await;
    let mut stream = served.connect().await;
    let request = b"GET /v1/agents HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    was_asked.notified().await;
    let _ = served.end.take().unwrap().send(());
    goes_on.notify_one();
    assert_eq!(read(stream).await.status, 200);
    timeout(LONG, served.done).await.expect("it ends").unwrap();
    assert_eq!(read(idle).await.head, "");
    assert!(TcpStream::connect(served.address).await.is_err());
}
