//! The store on real files: what survives, what is refused, and the order of what is delivered.

mod history;
mod outbox;

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::core::fleet::{NoticeData, NoticeKind, RolloutRecord, Standing};
use crate::core::rollout::Verdict;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn agent(name: &str) -> AgentRecord {
    AgentRecord {
        name: name.to_owned(),
        service_id: Some(format!("id of {name}")),
        region: None,
        deployment_id: Some("new".to_owned()),
        standing: Standing::Settled {
            verdict: Some(Verdict::Ready),
            since: at(0),
        },
        unready_episodes: 1,
        steps: vec![("old..new".to_owned(), 2)],
        updated_at: Some(at(0)),
        lives: Vec::new(),
        gone_at: None,
        changed_at: at(0),
    }
}

fn notice(agent: &str, id: &str) -> Notice {
    Notice {
        id: format!("{agent}/{id}"),
        kind: NoticeKind::RolloutStarted,
        time: at(0),
        data: NoticeData {
            agent: agent.to_owned(),
            ..NoticeData::default()
        },
    }
}

fn rollout(agent: &str, finished: i64) -> RolloutRecord {
    RolloutRecord {
        agent: agent.to_owned(),
        region: None,
        deployment_id: format!("deployment {finished}"),
        verdict: Verdict::Ready,
        reason: None,
        started_at: at(finished - 10),
        finished_at: at(finished),
        elapsed_ms: 10_000,
        phases: Vec::new(),
        observed_late: false,
    }
}

fn told(notices: &[(&str, &str)]) -> Change {
    Change {
        notices: notices
            .iter()
            .map(|(agent, id)| notice(agent, id))
            .collect(),
        ..Change::default()
    }
}

/// The ids of what is due for a sink.
fn due(store: &Store, sink: &str, now: Timestamp) -> Vec<String> {
    let due = store.due(sink, now, 100).unwrap();
    due.into_iter().map(|waiting| waiting.notice.id).collect()
}

/// The number of the event that is first in turn.
fn first(store: &Store, sink: &str) -> i64 {
    store.due(sink, at(1_000_000), 1).unwrap()[0].event
}

#[test]
fn what_was_applied_is_there_when_the_store_is_opened_again() {
    let folder = folder();
    let path = folder.path().join("deep/er/store.db");
    let change = Change {
        agents: vec![agent("a"), agent("b")],
        rollouts: vec![rollout("a", 20)],
        ..told(&[("a", "1"), ("b", "1")])
    };
    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.alive_at().unwrap(), None);
    store.touch(at(7)).unwrap();
    let new = store.apply(at(20), &change, |_| vec!["hook"]).unwrap();
    assert_eq!(new, [true, true]);
    drop(store);

    let mut store = Store::open(&path).unwrap();
    assert_eq!(store.alive_at().unwrap(), Some(at(7)));
    assert_eq!(store.agents().unwrap(), change.agents);
    assert_eq!(all_rollouts(&store), [(1, rollout("a", 20))]);
    assert_eq!(due(&store, "hook", at(20)), ["a/1", "b/1"]);
    let waiting = &store.due("hook", at(20), 1).unwrap()[0];
    assert_eq!(waiting.notice, notice("a", "1"));
    assert_eq!((waiting.attempts, waiting.written_at), (0, at(20)));

    // The same once more: nothing is there twice.
    let again = store.apply(at(30), &change, |_| vec!["hook"]).unwrap();
    assert_eq!(again, [false, false]);
    assert_eq!(all_rollouts(&store).len(), 1);
    assert_eq!(due(&store, "hook", at(30)), ["a/1", "b/1"]);

    let gone = Change {
        removed: vec!["a".to_owned()],
        ..Change::default()
    };
    store.apply(at(40), &gone, |_| vec![]).unwrap();
    assert_eq!(store.agents().unwrap(), [agent("b")]);
    assert_eq!(due(&store, "hook", at(40)), ["a/1", "b/1"], "still told");
}

#[test]
fn notices_of_an_agent_go_in_order_and_agents_and_sinks_do_not_hold_each_other_up() {
    let folder = folder();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    let change = told(&[("a", "1"), ("a", "2"), ("b", "1"), ("a", "3")]);
    store.apply(at(0), &change, |_| vec!["one", "two"]).unwrap();
    assert_eq!(due(&store, "one", at(0)), ["a/1", "b/1"]);

    let event = first(&store, "one");
    store.postpone("one", event, at(60), "it hung").unwrap();
    assert_eq!(due(&store, "one", at(59)), ["b/1"], "a/2 waits for a/1");
    assert_eq!(due(&store, "two", at(59)), ["a/1", "b/1"]);
    assert_eq!(due(&store, "one", at(60)), ["b/1", "a/1"]);
    assert_eq!(store.due("one", at(60), 9).unwrap()[1].attempts, 1);

    store.delivered("one", event, at(60)).unwrap();
    assert_eq!(due(&store, "one", at(60)), ["b/1", "a/2"]);
    let second = store.due("one", at(60), 9).unwrap()[1].event;
    store.give_up("one", second, at(61), "refused").unwrap();
    assert_eq!(due(&store, "one", at(61)), ["b/1", "a/3"]);
    // What comes later waits its turn as well.
    store
        .apply(at(62), &told(&[("a", "4")]), |_| vec!["one"])
        .unwrap();
    assert_eq!(due(&store, "one", at(62)), ["b/1", "a/3"]);

    let backlogs = store.backlogs().unwrap();
    let one = Backlog {
        pending: 3,
        oldest: Some(at(0)),
        given_up: 1,
    };
    let two = Backlog {
        pending: 4,
        oldest: Some(at(0)),
        given_up: 0,
    };
    assert_eq!(backlogs, [("one".to_owned(), one), ("two".to_owned(), two)]);
}

#[test]
fn the_next_attempt_is_known_and_an_empty_outbox_has_none() {
    let folder = folder();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    assert_eq!(store.next_due("one").unwrap(), None);
    store
        .apply(at(5), &told(&[("a", "1"), ("a", "2")]), |_| vec!["one"])
        .unwrap();
    assert_eq!(store.next_due("one").unwrap(), Some(at(5)));
    let event = first(&store, "one");
    store.postpone("one", event, at(60), "why").unwrap();
    assert_eq!(store.next_due("one").unwrap(), Some(at(60)));
    store.delivered("one", event, at(70)).unwrap();
    assert_eq!(
        store.next_due("one").unwrap(),
        Some(at(70)),
        "its turn begins"
    );
    // Told of twice, as by an attempt that was cut off: nothing changes.
    store.delivered("one", event, at(80)).unwrap();
    let last = first(&store, "one");
    store.delivered("one", last, at(80)).unwrap();
    assert_eq!(store.next_due("one").unwrap(), None);
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let folder = folder();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    let limit = |store: &Store, pages: i64| {
        let set = format!("PRAGMA max_page_count = {pages}");
        store.connection.query_row(&set, [], |_| Ok(())).unwrap();
    };
    store
        .apply(at(0), &told(&[("a", "1")]), |_| vec!["one"])
        .unwrap();
    limit(&store, 1);
    let names: Vec<String> = (0..2000).map(|number| format!("agent-{number}")).collect();
    let much = Change {
        agents: names.iter().map(|name| agent(name)).collect(),
        ..told(&[("a", "2")])
    };
    let error = store.apply(at(1), &much, |_| vec!["one"]).unwrap_err();
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert!(store.agents().unwrap().is_empty());
    assert_eq!(due(&store, "one", at(1)), ["a/1"]);
    limit(&store, 1_000_000);
    assert_eq!(store.apply(at(2), &much, |_| vec!["one"]).unwrap(), [true]);
    assert_eq!(store.agents().unwrap().len(), 2000);
}

#[test]
fn a_store_of_the_first_version_is_brought_up_to_date() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let change = Change {
        rollouts: vec![rollout("a", 20)],
        ..Change::default()
    };
    store.apply(at(0), &change, |_| vec![]).unwrap();
    let first = "DROP INDEX rollouts_by_agent; PRAGMA user_version = 1";
    store.connection.execute_batch(first).unwrap();
    drop(store);
    let older = Store::open_read_only(&path).unwrap_err();
    assert!(matches!(older, StoreError::Older { .. }), "{older:?}");
    assert_eq!(all_rollouts(&Store::open(&path).unwrap()).len(), 1);
    Store::open_read_only(&path).unwrap();
}

#[test]
fn what_is_old_goes_but_never_what_is_still_to_be_delivered() {
    let folder = folder();
    let mut store = Store::open(&folder.path().join("store.db")).unwrap();
    let change = Change {
        rollouts: vec![rollout("a", 100), rollout("a", 200)],
        ..told(&[("a", "1"), ("b", "1")])
    };
    store.apply(at(0), &change, |_| vec!["one"]).unwrap();
    let event = first(&store, "one");
    store.give_up("one", event, at(50), "refused").unwrap();
    store.prune(at(50)).unwrap();
    assert_eq!(store.backlogs().unwrap()[0].1.given_up, 1, "not old yet");
    store.prune(at(200)).unwrap();
    assert_eq!(all_rollouts(&store).len(), 1);
    let backlog = store.backlogs().unwrap()[0].1;
    assert_eq!((backlog.pending, backlog.given_up), (1, 0));
    assert_eq!(due(&store, "one", at(200)), ["b/1"]);
    let known = |store: &mut Store| {
        let change = told(&[("a", "1"), ("b", "1")]);
        store.apply(at(300), &change, |_| vec![]).unwrap()
    };
    assert_eq!(known(&mut store), [true, false], "the pending one is kept");
}

#[test]
fn a_second_sidecar_is_refused_and_a_reader_is_not() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let second = Store::open(&path).unwrap_err();
    assert!(matches!(second, StoreError::InUse { .. }), "{second:?}");
    let reader = Store::open_read_only(&path).unwrap();
    let change = Change {
        rollouts: vec![rollout("a", 20)],
        ..Change::default()
    };
    store.apply(at(0), &change, |_| vec![]).unwrap();
    assert_eq!(all_rollouts(&reader).len(), 1);
    drop(store);
    drop(reader);
    Store::open(&path).unwrap();
    let reader = Store::open_read_only(&path).unwrap();
    assert_eq!(all_rollouts(&reader).len(), 1);
}

#[test]
fn nobody_else_can_read_it() {
    let folder = folder();
    let path = folder.path().join("state/store.db");
    let mut store = Store::open(&path).unwrap();
    store.touch(at(0)).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut names: Vec<_> = fs::read_dir(path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            (
                entry.file_name().into_string().unwrap(),
                mode(&entry.path()),
            )
        })
        .collect();
    names.sort();
    let expected = ["store.db", "store.db-shm", "store.db-wal", "store.db.lock"];
    assert_eq!(names, expected.map(|name| (name.to_owned(), 0o600)));
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[test]
fn what_others_could_read_they_can_read_no_more() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let beside = |suffix: &str| folder.path().join(format!("store.db{suffix}"));
    let mut store = Store::open(&path).unwrap();
    // As after a crash: the log is still there.
    let copies: Vec<_> = ["", "-wal"]
        .map(|suffix| fs::read(beside(suffix)).unwrap())
        .into();
    store.touch(at(0)).unwrap();
    drop(store);
    for (suffix, copy) in ["", "-wal"].into_iter().zip(copies) {
        fs::write(beside(suffix), copy).unwrap();
    }
    for suffix in ["", "-wal", ".lock"] {
        fs::set_permissions(beside(suffix), Permissions::from_mode(0o644)).unwrap();
    }
    let _store = Store::open(&path).unwrap();
    for suffix in ["", "-wal", "-shm", ".lock"] {
        let mode = fs::metadata(beside(suffix)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{suffix}");
    }
}

fn all_rollouts(store: &Store) -> Vec<(u64, RolloutRecord)> {
    store.rollouts(&RolloutQuery::default()).unwrap().found
}

/// Opening this file fails both ways, and leaves it as it is.
fn refused(path: &Path) -> (StoreError, StoreError) {
    let before = fs::read(path).unwrap();
    let (writing, reading) = (
        Store::open(path).unwrap_err(),
        Store::open_read_only(path).unwrap_err(),
    );
    assert_eq!(fs::read(path).unwrap(), before, "it was changed");
    (writing, reading)
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let folder = folder();
    let text = folder.path().join("notes.txt");
    fs::write(
        &text,
        "my notes, which are longer than a header would be. ".repeat(50),
    )
    .unwrap();
    assert!(matches!(
        refused(&text),
        (StoreError::Foreign { .. }, StoreError::Foreign { .. })
    ));

    let other = folder.path().join("other.db");
    let connection = Connection::open(&other).unwrap();
    connection
        .execute_batch("CREATE TABLE theirs (a INTEGER)")
        .unwrap();
    drop(connection);
    assert!(matches!(
        refused(&other),
        (StoreError::Foreign { .. }, StoreError::Foreign { .. })
    ));
}

#[test]
fn a_newer_store_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let store = Store::open(&path).unwrap();
    store
        .connection
        .execute_batch("PRAGMA user_version = 77")
        .unwrap();
    drop(store);
    let (writing, reading) = refused(&path);
    assert!(matches!(reading, StoreError::Newer { .. }), "{reading:?}");
    assert_eq!(
        writing.to_string(),
        format!(
            "the store {} is of a newer version (schema 77; this program knows 2), and was left as \
             it is; run the newer program, or take another file with --store",
            path.display()
        )
    );
}

#[test]
fn a_damaged_store_is_said_to_be_and_left_alone() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let mut store = Store::open(&path).unwrap();
    let names: Vec<String> = (0..500).map(|number| format!("agent-{number}")).collect();
    let change = Change {
        agents: names.iter().map(|name| agent(name)).collect(),
        ..Change::default()
    };
    store.apply(at(0), &change, |_| vec![]).unwrap();
    drop(store);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8192].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes, "it was changed");
}

#[test]
fn what_is_not_there_or_cannot_be_is_said() {
    let folder = folder();
    let path = folder.path().join("store.db");
    let missing = Store::open_read_only(&path).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }), "{missing:?}");
    assert!(!path.exists());
    let error = Store::open(folder.path()).unwrap_err();
    assert!(matches!(error, StoreError::Unusable { .. }), "{error:?}");
    fs::write(&path, "").unwrap();
    let under = Store::open(&path.join("store.db")).unwrap_err();
    assert!(matches!(under, StoreError::Folder { .. }), "{under:?}");
    // An empty file, as mktemp makes it, becomes a store.
    Store::open(&path).unwrap();
}
