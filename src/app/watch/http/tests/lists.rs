//! The lists: pages, queries, and sources that fail.

use std::sync::Mutex;

use super::*;
use crate::core::fleet::old::{AgentRecord, Standing};
use crate::core::fleet::{AgentView, EventData, FinishedRollout};
use crate::core::rollout::{Reason, Verdict};

fn agent(number: usize) -> AgentView {
    AgentView::remembered(AgentRecord {
        name: format!("agent-{number:03}"),
        service_id: None,
        region: None,
        deployment_id: None,
        standing: Standing::Settled {
            verdict: None,
            since: "2026-11-23T14:00:00Z".parse().unwrap(),
        },
        unready_episodes: 0,
        steps: Vec::new(),
        updated_at: None,
        lives: Vec::new(),
        gone_at: None,
        changed_at: "2026-11-23T15:00:00Z".parse().unwrap(),
    })
}

fn rollout(number: u64) -> FinishedRollout {
    FinishedRollout {
        id: format!("9b1c2d3e-{number}"),
        finished_at: "2026-11-23T15:01:00Z".parse().unwrap(),
        data: EventData {
            agent: "my-agent".to_owned(),
            deployment_id: Some(number.to_string()),
            verdict: Some(Verdict::Failed),
            reason: Some(Reason {
                code: "Error".to_owned(),
                summary: "\u{1b}[2Jcleared\u{202e}".to_owned(),
                message: None,
            }),
            ..EventData::default()
        },
    }
}

/// So many of each, numbered from 0, and paged as the sources promise.
fn paged(count: usize) -> Sources {
    Sources {
        agents: Box::new(move |query| {
            let names = (0..count).map(agent).collect::<Vec<_>>();
            let mut items: Vec<_> = names
                .into_iter()
                .filter(|agent| {
                    query
                        .after
                        .as_ref()
                        .is_none_or(|after| agent.record.name > *after)
                })
                .collect();
            let more = items.len() > query.limit;
            items.truncate(query.limit);
            let next = items.last().filter(|_| more);
            let next = next.map(|agent| agent.record.name.clone());
            Box::pin(async { Ok(Page { items, next }) })
        }),
        rollouts: Box::new(move |query| {
            let first = query.before.unwrap_or(count as u64);
            let numbers: Vec<_> = (0..first).rev().take(query.limit).collect();
            let next = numbers.last().copied().filter(|last| *last > 0);
            let items = numbers.into_iter().map(rollout).collect();
            Box::pin(async move { Ok(Page { items, next }) })
        }),
        ..sources()
    }
}

/// Goes through all pages; the values of `field`, and how many pages there were.
async fn walk(served: &Served, list: &str, start: &str, field: &str) -> (Vec<String>, usize) {
    let (mut values, mut pages, mut next) = (Vec::new(), 0, String::new());
    loop {
        let reply = served.get(&format!("/v1/{list}?limit=7{next}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let page = reply.json();
        let items = page[list].as_array().unwrap();
        values.extend(
            items
                .iter()
                .map(|item| item[field].as_str().unwrap().to_owned()),
        );
        pages += 1;
        next = match &page["next"] {
            Value::Null => return (values, pages),
            Value::String(name) => format!("&{start}={name}"),
            number => format!("&{start}={number}"),
        };
    }
}

#[tokio::test]
async fn pages_lead_through_all_of_it() {
    let served = Served::start(paged(25), Limits::default()).await;
    let (agents, pages) = walk(&served, "agents", "after", "name").await;
    let expected: Vec<_> = (0..25).map(|number| agent(number).record.name).collect();
    assert_eq!((agents, pages), (expected, 4));
    let (rollouts, pages) = walk(&served, "rollouts", "before", "deploymentId").await;
    let expected: Vec<_> = (0..25).rev().map(|number| number.to_string()).collect();
    assert_eq!((rollouts, pages), (expected, 4));
}

#[tokio::test]
async fn a_page_is_whole_and_harmless() {
    let served = Served::start(paged(1), Limits::default()).await;
    let reply = served.get("/v1/rollouts").await;
    let expected = json!({ "rollouts": [rollout(0)], "next": null });
    assert_eq!(reply.json(), expected);
    assert!(
        !reply.body.contains(['\u{1b}', '\u{202e}']),
        "{}",
        reply.body
    );
    let reply = served.get("/v1/agents").await;
    assert_eq!(reply.json(), json!({ "agents": [agent(0)], "next": null }));
}

#[tokio::test]
async fn queries_reach_the_source_as_they_were_meant() {
    let seen = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&seen);
    let sources = Sources {
        rollouts: Box::new(move |query| {
            *kept.lock().unwrap() = Some(query);
            Box::pin(async { Ok(no_page()) })
        }),
        ..sources()
    };
    let served = Served::start(sources, Limits::default()).await;
    let target = "/v1/rollouts?agent=a%20b&since=2026-11-23T15:00:00Z&before=9&limit=5";
    assert_eq!(served.get(target).await.status, 200);
    let expected = RolloutsQuery {
        agent: Some("a b".to_owned()),
        since: Some("2026-11-23T15:00:00Z".parse().unwrap()),
        until: None,
        before: Some(9),
        limit: 5,
    };
    assert_eq!(seen.lock().unwrap().take(), Some(expected));
}

#[tokio::test]
async fn a_bad_query_names_the_parameter() {
    let served = Served::start(sources(), Limits::default()).await;
    for (target, parameter) in [
        ("/v1/agents?limit=1001", "limit"),
        ("/v1/agents?agent=a", "agent"),
        ("/v1/rollouts?limit=x", "limit"),
        ("/v1/rollouts?since=yesterday", "since"),
        ("/v1/rollouts?until=", "until"),
        ("/v1/rollouts?before=-1", "before"),
        ("/v1/rollouts?after=a", "after"),
    ] {
        let reply = served.get(target).await;
        let body = reply.json();
        assert_eq!(reply.status, 400, "{target}");
        assert_eq!(
            (&body["parameter"], &body["code"]),
            (&json!(parameter), &json!("BAD_REQUEST"))
        );
        assert!(
            body["error"].as_str().unwrap().starts_with(parameter),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_source_that_fails_is_no_answer() {
    let failing = Sources {
        metrics: Box::new(|| panic!("on purpose")),
        agents: Box::new(|_| Box::pin(std::future::pending())),
        rollouts: Box::new(|_| Box::pin(async { Err(Unanswered("the store is busy".to_owned())) })),
        ..sources()
    };
    let served = Served::start(failing, limits(Duration::from_secs(1), 64)).await;
    for (target, status, error) in [
        ("/v1/rollouts", 503, "the store is busy"),
        ("/v1/agents", 503, "the answer takes too long"),
        ("/metrics", 500, "the metrics cannot be told"),
        ("/livez", 200, ""),
    ] {
        let reply = served.get(target).await;
        let told = reply.json()["error"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        assert_eq!((reply.status, &*told), (status, error), "{target}");
    }
}
