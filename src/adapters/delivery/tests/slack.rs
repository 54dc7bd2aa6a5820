//! What Slack gets, and where the URL comes from.

use serde_json::{Value, json};

use super::*;

fn slack(url: SlackUrl) -> Sink {
    sink(SinkSettings::Slack { url })
}

#[tokio::test]
async fn slack_gets_a_text() {
    let receiver = Receiver::answering("200 OK", "", "ok");
    let sink = slack(SlackUrl::Text(receiver.url("/services/T0Ken_9")));
    deliver(&sink, &notice_of("<!channel>")).await.unwrap();
    let request = receiver.request();
    assert_eq!(request.line, "POST /services/T0Ken_9 HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("webhook-id"), None);
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let text = ":x: *my-agent: rollout failed*\n\
                the code ends again and again (CrashLoopBackOff)\nDeployment: new\n\
                ```\n&lt;!channel&gt;\n```";
    assert_eq!(body, json!({ "text": text }));
}

#[tokio::test]
async fn the_file_of_the_url_is_read_for_every_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    let receivers = [(); 2].map(|()| Receiver::answering("200 OK", "", "ok"));
    std::fs::write(&file, receivers[0].url("/one")).unwrap();
    let sink = slack(SlackUrl::File(file.clone()));
    for receiver in &receivers {
        std::fs::write(&file, receiver.url("/T0Ken_9\n")).unwrap();
        deliver(&sink, &notice()).await.unwrap();
        assert_eq!(receiver.request().line, "POST /T0Ken_9 HTTP/1.1");
    }
    std::fs::write(&file, "http://example.com/s3cret").unwrap();
    let told = why(&sink).await;
    assert!(told.contains("plain http to example.com"), "{told}");
    assert!(!told.contains("s3cret"), "{told}");
    std::fs::remove_file(&file).unwrap();
    let told = why(&sink).await;
    assert!(told.contains("No such file"), "{told}");
}

#[tokio::test]
async fn what_slack_says_is_told_without_the_url() {
    let receiver = Receiver::answering("404 X", "", "no_service at /services/T0Ken_9");
    let sink = slack(SlackUrl::Text(receiver.url("/services/T0Ken_9")));
    let told = why(&sink).await;
    assert_eq!(told, "the answer is 404 Not Found: no_service at [...]");
    let receiver = Receiver::answering("410 Gone", "", "channel_is_archived");
    let sink = slack(SlackUrl::Text(receiver.url("/")));
    let undelivered = deliver(&sink, &notice()).await.unwrap_err();
    assert_eq!(undelivered.then, Then::Gone);
    assert_eq!(
        undelivered.why,
        "the answer is 410 Gone: channel_is_archived"
    );
}
