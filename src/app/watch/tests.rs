//! What the daemon does with a store that cannot be written.

use std::num::NonZeroU32;

use rusqlite::Connection as Database;
use tempfile::TempDir;

use super::*;
use crate::adapters::api::connection::{Connection, Hooks};
use crate::adapters::api::{ApiUrl, Client, Credentials, PlainHttp};
use crate::adapters::store::Store;
use crate::core::fleet::{Notice, NoticeData, NoticeKind, RetryPlan};

/// A daemon that watches nobody, on a store of its own.
struct Place {
    daemon: Daemon,
    /// The same store, for the test to spoil and to look into.
    file: Database,
    _stopper: watch::Sender<bool>,
    _folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let url = ApiUrl::parse("http://127.0.0.1:9/v1", PlainHttp::LoopbackOnly).unwrap();
        let max_rps = NonZeroU32::MIN;
        let client = Client::new(url, Credentials::of_simulator(), None).unwrap();
        let keeper = Keeper::new(Store::open(&path).unwrap());
        let board = Arc::new(Board::new(Duration::from_secs(15)));
        let metrics = Arc::new(Metrics::new("test"));
        let settings = Settings {
            watched: Watched::Named(Vec::new()),
            interval: Duration::from_secs(15),
            health_interval: Duration::from_mins(5),
            max_rps,
            limits: Limits::default(),
            history_for: Duration::from_hours(24),
            retry_for: Duration::from_hours(24),
            passes: Passes::Endless,
        };
        let terms = DeliveryTerms {
            source: "test".to_owned(),
            plan: RetryPlan {
                retry_for: settings.retry_for,
            },
        };
        let (stopper, stop) = watch::channel(false);
        let parts = Parts {
            connection: Connection::new(client, max_rps, Hooks::default()),
            delivery: Delivery::start(Vec::new(), &terms, &keeper, &board, &metrics),
            keeper,
            board,
            metrics,
            stop,
        };
        Self {
            daemon: Daemon::new(settings, parts).await.unwrap(),
            file: Database::open(&path).unwrap(),
            _stopper: stopper,
            _folder: folder,
        }
    }

    /// Has the store refuse events, and nothing else.
    fn refuse_events(&self) {
        let refusing = "CREATE TRIGGER refusing BEFORE INSERT ON events
                        BEGIN SELECT RAISE(ABORT, 'no events today'); END";
        self.file.execute_batch(refusing).unwrap();
    }

    fn happens_to(&mut self, agents: impl IntoIterator<Item = String>) {
        let notices = agents.into_iter().map(|agent| Notice {
            id: format!("{agent}/added"),
            kind: NoticeKind::AgentAdded,
            time: Timestamp::UNIX_EPOCH,
            data: NoticeData {
                agent,
                ..NoticeData::default()
            },
        });
        self.daemon.unsaved.notices.extend(notices);
    }

    fn events(&self) -> u32 {
        let query = "SELECT count(*) FROM events";
        self.file.query_row(query, [], |row| row.get(0)).unwrap()
    }
}

#[tokio::test]
async fn what_could_not_be_written_is_not_made_good_by_something_else_that_could() {
    let mut place = Place::new().await;
    place.refuse_events();
    place.happens_to(["a".to_owned()]);
    place.daemon.save().await;
    place.daemon.touch().await;
    let store = place.daemon.board.readiness().store;
    assert!(store.unwrap_err().contains("no events today"));
    place.file.execute_batch("DROP TRIGGER refusing").unwrap();
    place.daemon.save().await;
    assert_eq!(place.daemon.board.readiness().store, Ok(()));
    assert_eq!(place.events(), 1);
}

#[tokio::test]
async fn at_the_end_it_is_tried_again_until_it_is_written() {
    let mut place = Place::new().await;
    place.refuse_events();
    place.happens_to(["a".to_owned()]);
    let board = Arc::clone(&place.daemon.board);
    let (daemon, file) = (&mut place.daemon, &place.file);
    let mended = async {
        while board.readiness().store.is_ok() {
            tokio::task::yield_now().await;
        }
        file.execute_batch("DROP TRIGGER refusing").unwrap();
    };
    let long = Instant::now() + Duration::from_mins(5);
    let (unsaved, ()) = tokio::join!(daemon.save_by(long), mended);
    assert_eq!(unsaved, None);
    assert_eq!(place.events(), 1);
}

#[tokio::test]
async fn what_is_lost_at_the_end_is_said() {
    let mut place = Place::new().await;
    place.refuse_events();
    place.happens_to((10..22).map(|number| format!("agent-{number}")));
    let unsaved = place.daemon.save_by(Instant::now()).await.unwrap();
    let names: Vec<String> = (10..20).map(|number| format!("agent-{number}")).collect();
    let names = names.join(", ");
    let expected = format!("12 events and 0 rollouts of {names} and 2 more: ");
    assert!(unsaved.starts_with(&expected), "{unsaved}");
    assert!(unsaved.contains("no events today"), "{unsaved}");
}
