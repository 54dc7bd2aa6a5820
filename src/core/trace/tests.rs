use super::*;
use crate::core::fleet::{EventData, EventKind};
use crate::core::rollout::{Phase, Reason};

/// Ids that count up from 1.
fn ids() -> impl FnMut() -> u64 {
    let mut next = 0;
    move || {
        next += 1;
        next
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A rollout of 12 seconds that began at noon.
fn report(verdict: Verdict) -> AgentReport {
    let phase = |phase, at_ms| PhaseEntry { phase, at_ms };
    let outcome = Outcome {
        deployment_id: Some("59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3".to_owned()),
        region: Some("us-west".to_owned()),
        image: Some("acme/voice:2".to_owned()),
        elapsed: Duration::from_secs(12),
        phases: vec![
            phase(Phase::Reconciling, 0),
            phase(Phase::Creating, 2100),
            phase(Phase::Active, 12_000),
            phase(Phase::Draining, 15_000),
        ],
        ..Outcome::new(verdict)
    };
    AgentReport::new("my-agent".to_owned(), at("2026-11-28T12:00:00Z"), outcome)
}

/// The name, the parent, and from when to when, in milliseconds after noon, of each span.
fn outline(spans: &[Value]) -> Vec<(String, Option<String>, i64, i64)> {
    let noon = at("2026-11-28T12:00:00Z").as_millisecond();
    let nanos = |span: &Value, key: &str| {
        let nanos: i64 = span[key].as_str().unwrap().parse().unwrap();
        nanos / 1_000_000 - noon
    };
    let spans = spans.iter().map(|span| {
        (
            span["name"].as_str().unwrap().to_owned(),
            span.get("parentSpanId")
                .map(|id| id.as_str().unwrap().to_owned()),
            nanos(span, "startTimeUnixNano"),
            nanos(span, "endTimeUnixNano"),
        )
    });
    spans.collect()
}

fn attributes(span: &Value) -> Vec<(String, String)> {
    let attributes = span["attributes"].as_array().unwrap().iter();
    let read = |it: &Value| {
        let value = it["value"].as_object().unwrap().values().next().unwrap();
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        (it["key"].as_str().unwrap().to_owned(), value)
    };
    attributes.map(read).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

#[test]
fn a_rollout_is_a_root_span_with_one_for_each_phase_inside_it() {
    let root = Root::below(None, ids());
    let report = report(Verdict::Ready);
    let spans = Rollout::of_report(&report, None).spans(&root, ids());
    let child = || Some("0000000000000003".to_owned());
    assert_eq!(
        outline(&spans),
        [
            ("rollout my-agent".to_owned(), None, 0, 12_000),
            ("reconciling".to_owned(), child(), 0, 2100),
            ("creating".to_owned(), child(), 2100, 12_000),
            // What came after the verdict does not reach beyond the root.
            ("active".to_owned(), child(), 12_000, 12_000),
            ("draining".to_owned(), child(), 12_000, 12_000),
        ]
    );
    for span in &spans {
        assert_eq!(span["traceId"], "00000000000000010000000000000002");
        assert_eq!(span["kind"], 1);
    }
    assert_eq!(
        attributes(&spans[0]),
        pairs(&[
            ("deployment.name", "my-agent"),
            ("deployment.id", "59c8ceba-6c7e-4ccd-a5bd-6cd7a4e4cfa3"),
            ("deployment.status", "succeeded"),
            ("cloud.region", "us-west"),
            ("pipecat_rollout.verdict", "ready"),
            ("pipecat_rollout.image", "acme/voice:2"),
        ])
    );
    assert_eq!(spans[0]["status"], json!({}));
}

#[test]
fn what_is_not_ready_is_an_error_in_the_root_and_in_the_last_phase() {
    let mut report = report(Verdict::Failed);
    report.outcome.reason = Some(Reason {
        code: "CrashLoop\u{1b}BackOff".to_owned(),
        summary: "its code crashes:\nCrashLoopBackOff".to_owned(),
        message: Some("password=hunter2".to_owned()),
    });
    let root = Root::below(None, ids());
    let spans = Rollout::of_report(&report, None).spans(&root, ids());
    let error = json!({"code": 2, "message": "its code crashes: CrashLoopBackOff"});
    assert_eq!(spans[0]["status"], error);
    assert_eq!(spans[4]["status"], error);
    assert!(spans[1].get("status").is_none());
    let attributes = attributes(&spans[0]);
    let has = |key: &str, value: &str| attributes.contains(&(key.to_owned(), value.to_owned()));
    assert!(has("deployment.status", "failed"), "{attributes:?}");
    assert!(has("error.type", "CrashLoopackOff"), "{attributes:?}");
    // What the code printed is not sent anywhere.
    assert!(!json!(spans).to_string().contains("hunter2"));
}

#[test]
fn only_a_proven_end_has_a_deployment_status_and_every_other_end_an_error_type() {
    for verdict in Verdict::WORST_FIRST {
        let report = report(verdict);
        let root = Root::below(None, ids());
        let spans = Rollout::of_report(&report, None).spans(&root, ids());
        let attributes = attributes(&spans[0]);
        let of = |key: &str| attributes.iter().find(|(it, _)| it == key);
        let status = match verdict {
            Verdict::Ready => Some("succeeded"),
            Verdict::Failed | Verdict::Stalled | Verdict::Infrastructure => Some("failed"),
            _ => None,
        };
        let found = of("deployment.status").map(|(_, status)| status.as_str());
        assert_eq!(found, status, "{verdict}");
        let error = of("error.type").map(|(_, kind)| kind.as_str());
        let expected = (verdict != Verdict::Ready).then_some(verdict.as_str());
        assert_eq!(error, expected, "{verdict}");
    }
}

#[test]
fn of_run_the_root_spans_the_command_as_well() {
    let mut report = report(Verdict::Ready);
    report.command = Some(CommandReport {
        exit_code: 3,
        elapsed: Duration::from_mins(1),
    });
    let around = (at("2026-11-28T11:59:10Z"), at("2026-11-28T12:00:20Z"));
    let root = Root::below(None, ids());
    let spans = Rollout::of_report(&report, Some(around)).spans(&root, ids());
    let (_, _, from, to) = &outline(&spans)[0];
    assert_eq!((*from, *to), (-50_000, 20_000));
    assert_eq!(outline(&spans)[1].3, 2100);
    let attributes = attributes(&spans[0]);
    for expected in pairs(&[
        ("error.type", "command-failed"),
        ("deployment.status", "succeeded"),
        ("pipecat_rollout.command.exit_code", "3"),
    ]) {
        assert!(attributes.contains(&expected), "{attributes:?}");
    }
}

#[test]
fn what_a_sidecar_has_not_timed_is_a_moment() {
    let mut event = FleetEvent {
        kind: EventKind::RolloutFinished,
        time: at("2026-11-28T12:00:05Z"),
        dedup_key: String::new(),
        data: EventData {
            agent: "my-agent".to_owned(),
            verdict: Some(Verdict::Timeout),
            phases: vec![PhaseEntry {
                phase: Phase::Creating,
                at_ms: 1000,
            }],
            started_at: Some(at("2026-11-28T12:00:01Z")),
            elapsed_ms: Some(4000),
            ..EventData::default()
        },
    };
    let outlined = |event: &FleetEvent| {
        let root = Root::below(None, ids());
        let spans = Rollout::of_event(event).spans(&root, ids());
        let times = outline(&spans).into_iter();
        times.map(|(_, _, from, to)| (from, to)).collect::<Vec<_>>()
    };
    assert_eq!(outlined(&event), [(1000, 5000), (2000, 5000)]);
    event.data.elapsed_ms = None;
    assert_eq!(outlined(&event), [(5000, 5000)]);
}

#[test]
fn a_traceparent_is_continued_and_what_is_none_begins_a_trace() {
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let (parent, zeros) = ("b7ad6b7169203331", "0");
    for (text, continued) in [
        (format!("00-{trace}-{parent}-01"), Some(true)),
        (format!(" 00-{trace}-{parent}-00\n"), Some(false)),
        // A later version may say more.
        (format!("01-{trace}-{parent}-03-new"), Some(true)),
        (format!("00-{trace}-{parent}-01-new"), None),
        (format!("ff-{trace}-{parent}-01"), None),
        (format!("00-{trace}-{parent}"), None),
        (format!("00-{}-{parent}-01", zeros.repeat(32)), None),
        (format!("00-{trace}-{}-01", zeros.repeat(16)), None),
        (format!("00-{}-{parent}-01", trace.to_uppercase()), None),
        (format!("00-+{}-{parent}-01", &trace[1..]), None),
        (String::new(), None),
        ("ä".repeat(20), None),
    ] {
        let root = Root::below(Some(&text), ids());
        assert_eq!(root.has_parent(), continued.is_some(), "{text}");
        assert_eq!(root.is_sampled, continued.unwrap_or(true), "{text}");
        let handed_on = root.traceparent();
        assert_eq!(handed_on.contains(trace), continued.is_some(), "{text}");
        assert!(!handed_on.contains(parent), "{text}");
        let sampled = if root.is_sampled { "-01" } else { "-00" };
        assert!(handed_on.ends_with(sampled), "{handed_on}");
    }
    // What is handed on is the root itself.
    let root = Root::below(None, ids());
    let report = report(Verdict::Ready);
    let spans = Rollout::of_report(&report, None).spans(&root, ids());
    let own = spans[0]["spanId"].as_str().unwrap();
    assert!(root.traceparent().contains(own));
}

#[test]
fn rollouts_beside_each_other_share_a_parent_or_nothing() {
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut random = ids();
    let below = Root::below(Some(text), &mut random);
    let sibling = below.sibling(&mut random);
    assert_eq!(sibling.trace_id, below.trace_id);
    assert_eq!(sibling.parent_id, below.parent_id);
    assert_ne!(sibling.span_id, below.span_id);
    let alone = Root::below(None, &mut random);
    assert_ne!(alone.sibling(&mut random).trace_id, alone.trace_id);
}

#[test]
fn lists_are_read_as_the_specification_says() {
    let read = |text: &str| parse_list(text);
    assert_eq!(read(""), Some(Vec::new()));
    assert_eq!(
        read("a=1, b = two%2Cthree%20 ,c=x=y,"),
        Some(pairs(&[("a", "1"), ("b", "two,three "), ("c", "x=y")]))
    );
    // One mistake, and all of it is passed over.
    for wrong in ["a", "a=1,b", "=1", "a=%ff"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}
