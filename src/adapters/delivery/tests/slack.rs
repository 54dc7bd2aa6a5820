//! What Slack gets, and what its answers mean.

use serde_json::{Value, json};

use super::*;

fn slack(url: &str) -> Sink {
    sink(Kind::Slack, &format!("url = '{url}'")).unwrap()
}

#[tokio::test]
async fn slack_gets_a_text() {
    let receiver = Receiver::answering("200 OK", "", "ok");
    let sink = slack(&receiver.url("/services/T0Ken_9"));
    deliver(&sink, &event_of("<!channel>")).await.unwrap();
    let request = receiver.request();
    assert_eq!(request.line, "POST /services/T0Ken_9 HTTP/1.1");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("webhook-id"), None);
    let body: Value = serde_json::from_str(&request.body).unwrap();
    let details = "the code ends again and again (CrashLoopBackOff)\nDeployment: new\n\
                   ```\n&lt;!channel&gt;\n```";
    let details = json!({ "color": "#e01e5a", "text": details, "mrkdwn_in": ["text"] });
    let text = ":x: *my-agent: rollout failed*";
    assert_eq!(body, json!({ "text": text, "attachments": [details] }));
}

#[tokio::test]
async fn what_slack_says_is_shown_without_the_url() {
    let receiver = Receiver::answering("404 X", "", "no_service at /services/T0Ken_9");
    let sink = slack(&receiver.url("/services/T0Ken_9"));
    let reason = refused(&sink).await;
    assert_eq!(
        reason,
        "the receiver answered 404 Not Found: no_service at [...]"
    );
    let receiver = Receiver::answering("410 Gone", "", "channel_is_archived");
    let sink = slack(&receiver.url("/"));
    let error = deliver(&sink, &event()).await.unwrap_err();
    assert_eq!(error.failure, DeliveryFailure::Gone);
    assert_eq!(
        error.reason,
        "the receiver answered 410 Gone: channel_is_archived"
    );
}
