//! What the loops of the sidecar share with its endpoints: the agents, heartbeats, and the state of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use jiff::{Timestamp, Unit};
use tokio::sync::watch;
use tokio::time::Instant;

use super::recent::RecentRollouts;
use crate::core::fleet::{Fleet, FleetEvent, Moment, Mute};

/// How long a loop may take between two heartbeats.
const MAX_SILENCE: Duration = Duration::from_mins(2);

/// What the loops share with the endpoints.
#[derive(Debug)]
pub(crate) struct Shared {
    started: Instant,
    fleet: RwLock<Fleet>,
    /// When each loop showed last that it is alive.
    heartbeats: Mutex<BTreeMap<String, Instant>>,
    store: Mutex<Result<(), String>>,
    /// Events that wait to be written.
    pub(super) unsaved: AtomicUsize,
    /// Whether the configuration could be reloaded last time.
    pub(super) reload_ok: AtomicBool,
    /// The sinks of the configuration, by name.
    sinks: Mutex<BTreeSet<String>>,
    /// Something may wait for a sink that did not before.
    deliveries: watch::Sender<()>,
    /// The latest rollouts of agents.
    pub(crate) recent: RecentRollouts,
    /// What is muted.
    mutes: Mutex<Vec<Muted>>,
}

/// Agents that are muted, and how many events were kept from sinks by that.
#[derive(Debug, Clone)]
pub(crate) struct Muted {
    pub(crate) mute: Mute,
    pub(crate) events: u64,
}

/// How long ago a loop showed that it is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heartbeat {
    pub(crate) name: String,
    pub(crate) age: Duration,
    pub(crate) is_stuck: bool,
}

impl Shared {
    pub(crate) fn new(fleet: Fleet) -> Self {
        Self {
            started: Instant::now(),
            fleet: RwLock::new(fleet),
            heartbeats: Mutex::default(),
            store: Mutex::new(Ok(())),
            unsaved: AtomicUsize::new(0),
            reload_ok: AtomicBool::new(true),
            sinks: Mutex::default(),
            mutes: Mutex::default(),
            deliveries: watch::Sender::new(()),
            recent: RecentRollouts::default(),
        }
    }

    /// This moment.
    pub(crate) fn now(&self) -> Moment {
        let now = Timestamp::now();
        Moment {
            at: self.started.elapsed(),
            // Nobody wants to read nanoseconds.
            wall: now.round(Unit::Millisecond).unwrap_or(now),
        }
    }

    /// The instant of a time on the fleet's clock.
    pub(super) fn instant(&self, at: Duration) -> Instant {
        // A time that far ahead never comes.
        const FAR: Duration = Duration::from_hours(24);
        let far = Instant::now() + FAR;
        self.started.checked_add(at).unwrap_or(far).min(far)
    }

    pub(crate) fn fleet(&self) -> RwLockReadGuard<'_, Fleet> {
        self.fleet.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn fleet_mut(&self) -> RwLockWriteGuard<'_, Fleet> {
        self.fleet.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A loop is alive.
    pub(super) fn beat(&self, name: &str) {
        lock(&self.heartbeats).insert(name.to_owned(), Instant::now());
    }

    /// A loop has ended as it should.
    pub(super) fn rest(&self, name: &str) {
        lock(&self.heartbeats).remove(name);
    }

    /// How long ago each loop showed that it is alive.
    pub(crate) fn heartbeats(&self) -> Vec<Heartbeat> {
        let beat = |(name, at): (&String, &Instant)| Heartbeat {
            name: name.clone(),
            age: at.elapsed(),
            is_stuck: at.elapsed() > MAX_SILENCE,
        };
        lock(&self.heartbeats).iter().map(beat).collect()
    }

    /// Notes whether the store can be written. Gives whether that is news.
    pub(super) fn set_store(&self, state: Result<(), String>) -> bool {
        let mut store = lock(&self.store);
        let is_news = *store != state;
        *store = state;
        is_news
    }

    /// Whether the store can be written, or why not.
    pub(crate) fn store(&self) -> Result<(), String> {
        lock(&self.store).clone()
    }

    pub(crate) fn set_sinks(&self, names: impl Iterator<Item = String>) {
        *lock(&self.sinks) = names.collect();
    }

    /// The sinks of the configuration, by name.
    pub(crate) fn sinks(&self) -> BTreeSet<String> {
        lock(&self.sinks).clone()
    }

    /// Something may wait for a sink that did not before.
    pub(crate) fn wake_deliveries(&self) {
        self.deliveries.send_replace(());
    }

    /// Is woken when something may wait for a sink.
    pub(super) fn deliveries(&self) -> watch::Receiver<()> {
        self.deliveries.subscribe()
    }

    /// Mutes these from now on.
    pub(crate) fn set_mutes(&self, mutes: Vec<Mute>) {
        let unheard = |mute| Muted { mute, events: 0 };
        *lock(&self.mutes) = mutes.into_iter().map(unheard).collect();
    }

    /// What is muted, with what is over as long as that was not taken out.
    pub(crate) fn mutes(&self) -> Vec<Muted> {
        lock(&self.mutes).clone()
    }

    /// Takes out what is muted no more.
    pub(super) fn take_ended_mutes(&self, now: Timestamp) -> Vec<Muted> {
        let mut mutes = lock(&self.mutes);
        let (over, rest) = mutes.drain(..).partition(|muted| muted.mute.is_over(now));
        *mutes = rest;
        over
    }

    pub(super) fn is_muted(&self, event: &FleetEvent) -> bool {
        lock(&self.mutes)
            .iter()
            .any(|muted| muted.mute.mutes(event))
    }

    /// Counts an event where it is muted. Gives whether it is.
    pub(super) fn count_muted(&self, event: &FleetEvent) -> bool {
        let mut mutes = lock(&self.mutes);
        let found = mutes.iter_mut().find(|muted| muted.mute.mutes(event));
        found.map(|muted| muted.events += 1).is_some()
    }

    /// Why the sidecar does not know what it is there to know; empty where it does.
    pub(crate) fn faults(&self) -> Vec<String> {
        let now = self.now();
        let mut faults = self.fleet().faults(now.at);
        if let Err(why) = self.store() {
            faults.push(format!("the store cannot be written: {why}"));
        }
        faults
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
