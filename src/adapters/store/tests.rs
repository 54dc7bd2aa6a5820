//! The store on real files: what survives, what is refused, what is put right.

use std::os::unix::fs::symlink;
use std::process::Command;

use tempfile::TempDir;

use super::reader::EventQuery;
use super::*;
use crate::core::fleet::{EventData, EventKind, KnownDeployment};

/// A store in a folder of its own.
pub(super) struct Place {
    pub(super) folder: TempDir,
    pub(super) path: PathBuf,
}

impl Place {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        Self { folder, path }
    }

    pub(super) fn open(&self) -> Store {
        Store::open(&self.path).unwrap()
    }

    /// Another program's connection to the file.
    pub(super) fn database(&self) -> Connection {
        Connection::open(&self.path).unwrap()
    }
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) fn agent(name: &str) -> AgentRecord {
    AgentRecord {
        service_id: Some(format!("id of {name}")),
        deployment: Some(KnownDeployment {
            id: "new".to_owned(),
            ..KnownDeployment::default()
        }),
        last_verdict: Some(Verdict::Ready),
        updated_at: Some(at(0)),
        ..AgentRecord::new(name, at(0))
    }
}

/// An event about an agent, which `what` makes recognizable.
pub(super) fn event(kind: EventKind, agent: &str, what: &str) -> FleetEvent {
    FleetEvent {
        kind,
        time: at(0),
        dedup_key: format!("{agent} {what}"),
        data: EventData {
            agent: agent.to_owned(),
            ..EventData::default()
        },
    }
}

/// What happened, each of one agent.
pub(super) fn started(events: &[(&str, &str)]) -> Change {
    let events = events.iter();
    Change {
        events: events
            .map(|(agent, what)| event(EventKind::RolloutStarted, agent, what))
            .collect(),
        ..Change::default()
    }
}

fn agents(names: impl IntoIterator<Item = String>) -> Change {
    let agents = names.into_iter();
    Change {
        agents: agents
            .map(|name| (name.clone(), Some(Box::new(agent(&name)))))
            .collect(),
        ..Change::default()
    }
}

fn finished(agent: &str, second: i64) -> FleetEvent {
    FleetEvent {
        time: at(second),
        ..event(EventKind::RolloutFinished, agent, "finished")
    }
}

/// What waits for a sink, as events are recognized.
pub(super) fn due(store: &mut Store, sink: &str, now: Timestamp) -> Vec<String> {
    let due = store.due(sink, now, 100).unwrap().deliveries;
    due.into_iter()
        .map(|due| due.event.event.dedup_key)
        .collect()
}

fn log(store: &Store) -> Vec<StoredEvent> {
    let events = store
        .reader()
        .events(&EventQuery::default(), 1000, usize::MAX);
    events.unwrap().found
}

fn count(store: &Store, table: &str) -> i64 {
    let query = format!("SELECT count(*) FROM {table}");
    store
        .connection
        .query_row(&query, [], |row| row.get(0))
        .unwrap()
}

#[test]
fn what_was_applied_is_there_when_the_store_is_opened_again() {
    let place = Place::new();
    let path = place.folder.path().join("deep/er/store.db");
    let mut change = agents(["a".to_owned(), "b".to_owned()]);
    change.events = started(&[("a", "1"), ("b", "1")]).events;
    let mut store = Store::open(&path).unwrap();
    let stored = store
        .apply(at(20), &change, |_| Route::to(&["hook"]))
        .unwrap();
    assert_eq!(
        stored.iter().map(|one| one.number).collect::<Vec<_>>(),
        [1, 2]
    );
    drop(store);

    let mut store = Store::open(&path).unwrap();
    assert_eq!(log(&store), stored);
    assert_eq!(due(&mut store, "hook", at(20)), ["a 1", "b 1"]);
    let kept = store.agents().unwrap();
    assert_eq!(kept.records, [agent("a"), agent("b")]);
    let deleted = Change {
        agents: [("a".to_owned(), None)].into(),
        ..Change::default()
    };
    store.apply(at(40), &deleted, |_| Route::to(&[])).unwrap();
    assert_eq!(store.agents().unwrap().records, [agent("b")]);
    assert_eq!(
        due(&mut store, "hook", at(40)),
        ["a 1", "b 1"],
        "still sent"
    );
}

#[test]
fn an_id_is_given_once_also_by_copies_and_after_the_latest_was_deleted() {
    let place = Place::new();
    let mut ids = Vec::new();
    let mut give = |store: &mut Store| {
        let stored = store
            .apply(at(0), &started(&[("a", "1")]), |_| Route::to(&[]))
            .unwrap();
        ids.push(stored[0].id());
    };
    let mut store = place.open();
    give(&mut store);
    store.connection.execute("DELETE FROM events", []).unwrap();
    give(&mut store);
    drop(store);
    let copy = fs::read(&place.path).unwrap();
    give(&mut place.open());
    // A copy that is put back gives the same number again.
    fs::write(&place.path, copy).unwrap();
    give(&mut place.open());
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
}

#[test]
fn a_record_that_cannot_be_read_holds_up_no_other() {
    let place = Place::new();
    let mut store = place.open();
    let all = agents(["a", "b", "c", "d"].map(str::to_owned));
    store.apply(at(0), &all, |_| Route::to(&[])).unwrap();
    let spoiled = "UPDATE agents SET record = '{' WHERE name = 'a';
                   UPDATE agents SET record = replace(record, '\"idle\"', '\"dancing\"') WHERE name = 'c';
                   UPDATE agents SET record = CAST(x'ff' AS TEXT) WHERE name = 'd';";
    store.connection.execute_batch(spoiled).unwrap();
    let kept = store.agents().unwrap();
    assert_eq!(kept.records, [agent("b")]);
    assert_eq!(kept.unreadable, ["a", "c", "d"]);
}

#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let place = Place::new();
    let mut store = place.open();
    let limit = |store: &Store, pages: i64| {
        let set = format!("PRAGMA max_page_count = {pages}");
        store.connection.query_row(&set, [], |_| Ok(())).unwrap();
    };
    store
        .apply(at(0), &started(&[("a", "1")]), |_| Route::to(&["one"]))
        .unwrap();
    limit(&store, 1);
    let mut much = agents((0..2000).map(|number| format!("agent-{number}")));
    much.events = started(&[("a", "2")]).events;
    let error = store
        .apply(at(1), &much, |_| Route::to(&["one"]))
        .unwrap_err();
    let StoreError::Failed { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(source.to_string(), "database or disk is full");
    assert!(store.agents().unwrap().records.is_empty());
    assert_eq!(due(&mut store, "one", at(1)), ["a 1"]);
    limit(&store, 1_000_000);
    assert_eq!(
        store
            .apply(at(2), &much, |_| Route::to(&["one"]))
            .unwrap()
            .len(),
        1
    );
    assert_eq!(store.agents().unwrap().records.len(), 2000);
}

#[test]
fn what_is_old_is_deleted_but_not_what_waits_and_dead_letters_last_as_long() {
    let place = Place::new();
    let mut store = place.open();
    let change = Change {
        events: ["dead", "waits", "old"]
            .map(|agent| finished(agent, 0))
            .into(),
        ..Change::default()
    };
    let sinks = |event: &FleetEvent| match event.data.agent.as_str() {
        "old" => Route::to(&[]),
        _ => Route::to(&["one"]),
    };
    store.apply(at(0), &change, sinks).unwrap();
    let dead = Settled {
        agent: "dead".to_owned(),
        number: 1,
        outcome: Outcome::Dead("refused".to_owned()),
    };
    store.settle("one", at(0), &[dead], None).unwrap();
    let left =
        |store: &Store| -> Vec<u64> { log(store).iter().map(|event| event.number).collect() };
    let keep = Duration::from_secs(100);
    // Nothing has happened since: by itself a clock that is far ahead makes nothing old.
    store.prune(at(100_000), keep).unwrap();
    assert_eq!(left(&store), [1, 2, 3]);
    let later = Change {
        events: vec![finished("new", 101)],
        ..Change::default()
    };
    store.apply(at(101), &later, |_| Route::to(&[])).unwrap();
    // Nor does one event that was written by such a clock, once that is set right.
    store.prune(at(99), keep).unwrap();
    assert_eq!(left(&store), [1, 2, 3, 4]);
    store.prune(at(101), keep).unwrap();
    assert_eq!(left(&store), [2, 4]);
    assert_eq!(count(&store, "dead_letters"), 0);
    assert_eq!(due(&mut store, "one", at(101)), ["waits finished"]);
}

#[test]
fn the_file_shrinks_with_what_is_deleted() {
    let place = Place::new();
    let mut store = place.open();
    let long = |number| {
        let mut long = finished("a", number);
        long.data.image = Some("x".repeat(10_000));
        long
    };
    let change = Change {
        events: (0..300).map(long).chain([finished("a", 10_000)]).collect(),
        ..Change::default()
    };
    store.apply(at(0), &change, |_| Route::to(&[])).unwrap();
    store.prune(at(10_000), Duration::from_secs(1)).unwrap();
    drop(store);
    let size = fs::metadata(&place.path).unwrap().len();
    assert!(size < 200_000, "{size} bytes for one event");
}

#[test]
fn a_second_sidecar_is_refused_under_whichever_name_and_a_reader_is_not() {
    let place = Place::new();
    let mut store = place.open();
    let name = |name: &str| place.folder.path().join(name);
    symlink(&place.path, name("symlink")).unwrap();
    fs::hard_link(&place.path, name("hard link")).unwrap();
    for path in [&place.path, &name("symlink"), &name("hard link")] {
        let second = Store::open(path).unwrap_err();
        assert!(matches!(second, StoreError::InUse(_)), "{second:?}");
    }
    let reader = Reader::open(&name("symlink")).unwrap();
    store
        .apply(at(0), &started(&[("a", "1")]), |_| Route::to(&[]))
        .unwrap();
    let events = |reader: &Reader| reader.events(&EventQuery::default(), 9, 9).unwrap().found;
    assert_eq!(events(&reader), log(&store));
    drop(store);
    assert_eq!(events(&reader).len(), 1);
    Store::open(&name("symlink")).unwrap();
}

#[test]
fn a_store_that_is_deleted_while_it_is_in_use_is_made_again_and_loses_nothing() {
    let place = Place::new();
    let mut store = place.open();
    store
        .apply(at(0), &started(&[("a", "1")]), |_| Route::to(&["one"]))
        .unwrap();
    // What is made again is laid out in another way: there is room in between.
    let names = || (0..500).map(|number| format!("agent-{number}"));
    store
        .apply(at(0), &agents(names()), |_| Route::to(&[]))
        .unwrap();
    let deleted = Change {
        agents: names().step_by(2).map(|name| (name, None)).collect(),
        ..Change::default()
    };
    store.apply(at(0), &deleted, |_| Route::to(&[])).unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    store
        .connection
        .query_row(checkpoint, [], |_| Ok(()))
        .unwrap();
    store.touch(at(0)).unwrap();
    // With or without the files that belong to it.
    for rest in [&[""][..], &["", "-wal", "-shm"]] {
        for suffix in rest {
            fs::remove_file(beside(&place.path, suffix)).unwrap();
        }
        store
            .apply(at(1), &started(&[("a", "2")]), |_| Route::to(&["one"]))
            .unwrap();
        let second = Store::open(&place.path).unwrap_err();
        assert!(matches!(second, StoreError::InUse(_)), "{second:?}");
    }
    let mode = fs::metadata(&place.path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(log(&store).len(), 3);
    drop(store);
    let mut store = place.open();
    assert_eq!(log(&store).len(), 3);
    assert_eq!(store.agents().unwrap().records.len(), 250);
    assert_eq!(due(&mut store, "one", at(1)), ["a 1"]);
    // It goes on to shrink as well.
    let vacuum: i64 = store
        .connection
        .query_row("PRAGMA auto_vacuum", [], |row| row.get(0))
        .unwrap();
    assert_eq!(vacuum, 2);
}

#[test]
fn nothing_is_written_when_another_file_has_come_in_the_place_of_the_store() {
    let place = Place::new();
    let mut store = place.open();
    let former = place.folder.path().join("former");
    fs::rename(&place.path, &former).unwrap();
    fs::write(&place.path, "somebody's").unwrap();
    let change = started(&[("a", "1")]);
    for _ in 0..2 {
        let error = store.apply(at(0), &change, |_| Route::to(&[])).unwrap_err();
        assert!(matches!(error, StoreError::Replaced(_)), "{error:?}");
    }
    assert_eq!(fs::read(&place.path).unwrap(), b"somebody's");
    assert_eq!(count(&store, "events"), 0);
    // With the former in its place it goes on.
    fs::rename(&former, &place.path).unwrap();
    store.touch(at(0)).unwrap();
}

#[test]
fn a_store_that_another_program_holds_can_be_read_and_is_written_when_it_is_let_go() {
    let place = Place::new();
    let mut store = place.open();
    store
        .apply(at(0), &started(&[("a", "1")]), |_| Route::to(&["one"]))
        .unwrap();
    let other = place.database();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    let error = store.touch(at(1)).unwrap_err();
    assert!(error.may_pass(), "{error:?}");
    assert_eq!(log(&store).len(), 1);
    assert_eq!(store.reader().backlogs().unwrap()["one"].pending, 1);
    assert_eq!(due(&mut store, "one", at(1)), ["a 1"]);
    other.execute_batch("COMMIT").unwrap();
    store.touch(at(1)).unwrap();
}

#[test]
fn of_a_store_where_nothing_can_be_written_it_is_said_what_to_do() {
    let place = Place::new();
    let folder = place.folder.path().join("copies");
    fs::create_dir(&folder).unwrap();
    drop(place.open());
    let copy = folder.join("copy.db");
    fs::copy(&place.path, &copy).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o500)).unwrap();
    let can_be_written = || {
        let probe = folder.join("probe");
        fs::write(&probe, "").is_ok() && fs::remove_file(&probe).is_ok()
    };
    // Root may write everywhere but here.
    let attribute = |change: &str| Command::new("chattr").arg(change).arg(&folder).status();
    if can_be_written() && (attribute("+i").is_err() || can_be_written()) {
        return;
    }
    let error = Reader::open(&copy);
    let _ = attribute("-i");
    fs::set_permissions(&folder, Permissions::from_mode(0o700)).unwrap();
    let shown = error.unwrap_err().to_string();
    assert!(shown.contains("copy it to another folder"), "{shown}");
}

#[test]
fn nobody_else_can_read_it() {
    let place = Place::new();
    let path = place.folder.path().join("state/store.db");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let mut store = Store::open(&path).unwrap();
    store.touch(at(0)).unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(&path, suffix)), 0o600, "{suffix}");
    }
    // As after a crash, and a copy: the log is still there, and others can read all of it.
    let copy = place.folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        fs::copy(beside(&path, suffix), beside(&copy, suffix)).unwrap();
        let others = Permissions::from_mode(0o644);
        fs::set_permissions(beside(&copy, suffix), others).unwrap();
    }
    let _store = Store::open(&copy).unwrap();
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(&copy, suffix)), 0o600, "{suffix}");
    }
}

/// Opening this file fails both ways with these words, and leaves it as it is.
fn refused(path: &Path, words: &str) {
    let before = fs::read(path).unwrap();
    let errors = [
        Store::open(path).unwrap_err(),
        Reader::open(path).unwrap_err(),
    ];
    for error in errors {
        assert!(!error.may_pass(), "{error:?}");
        let shown = error.to_string();
        let start = format!("the store {} {words}", path.display());
        assert!(shown.starts_with(&start), "{shown}");
    }
    assert_eq!(fs::read(path).unwrap(), before, "it was changed");
}

#[test]
fn a_file_that_is_no_store_one_of_another_version_and_a_damaged_one_are_left_alone() {
    let place = Place::new();
    let text = place.folder.path().join("notes.txt");
    fs::write(
        &text,
        "my notes, which are longer than a header. ".repeat(50),
    )
    .unwrap();
    refused(&text, "is not of this program: ");
    let other = place.folder.path().join("other.db");
    let connection = Connection::open(&other).unwrap();
    connection
        .execute_batch("CREATE TABLE theirs (a INTEGER)")
        .unwrap();
    drop(connection);
    refused(&other, "is not of this program: ");

    let mut store = place.open();
    let names = (0..500).map(|number| format!("agent-{number}"));
    store
        .apply(at(0), &agents(names), |_| Route::to(&[]))
        .unwrap();
    drop(store);
    let bytes = fs::read(&place.path).unwrap();
    let mut damaged = bytes.clone();
    let middle = bytes.len() / 2;
    damaged[middle..middle + 8192].fill(0xa5);
    for bad in [&damaged, &bytes[..middle]] {
        fs::write(&place.path, bad).unwrap();
        let error = Store::open(&place.path).unwrap_err();
        assert!(error.to_string().contains(" is damaged ("), "{error}");
        assert_eq!(&fs::read(&place.path).unwrap(), bad, "it was changed");
    }
    fs::write(&place.path, bytes).unwrap();
    let newer = "PRAGMA user_version = 77; PRAGMA wal_checkpoint(TRUNCATE);";
    place.database().execute_batch(newer).unwrap();
    refused(
        &place.path,
        "is of another version (schema 77; this program knows 3)",
    );
}

#[test]
fn a_store_that_loses_its_content_while_it_is_in_use_is_said_to_be_damaged() {
    let place = Place::new();
    let mut store = place.open();
    let names = (0..500).map(|number| format!("agent-{number}"));
    store
        .apply(at(0), &agents(names), |_| Route::to(&[]))
        .unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    store
        .connection
        .query_row(checkpoint, [], |_| Ok(()))
        .unwrap();
    store
        .connection
        .execute_batch("PRAGMA shrink_memory")
        .unwrap();
    File::options()
        .write(true)
        .open(&place.path)
        .unwrap()
        .set_len(8192)
        .unwrap();
    let error = store.agents().unwrap_err();
    assert!(error.to_string().contains(" is damaged ("), "{error:?}");
}

#[test]
fn what_is_not_there_or_cannot_be_is_said() {
    let place = Place::new();
    let missing = Reader::open(&place.path).unwrap_err();
    assert!(matches!(missing, StoreError::Missing(_)), "{missing:?}");
    assert!(!place.path.exists());
    let folder = Store::open(place.folder.path()).unwrap_err();
    let words = format!("cannot open {}", place.folder.path().display());
    assert_eq!(folder.to_string(), words);
    // An empty file, as mktemp makes it, is no store yet, and becomes one.
    fs::write(&place.path, "").unwrap();
    let under = Store::open(&place.path.join("store.db")).unwrap_err();
    let words = format!("cannot make the folder {}", place.path.display());
    assert_eq!(under.to_string(), words);
    let empty = Reader::open(&place.path).unwrap_err();
    assert!(matches!(empty, StoreError::Missing(_)), "{empty:?}");
    place.open();
}
