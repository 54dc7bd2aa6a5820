//! Incidents that are opened while they are muted, and sinks that follow incidents.

use super::*;
use crate::adapters::store::tests::{Place, at, event};
use crate::adapters::store::{Outcome, Settled};
use crate::core::fleet::{
    Change,
    EventKind::{self, AgentRecovered, AgentUnready, RolloutStarted},
};

/// To `pager`, which follows incidents, where it wants this, and to `chat`.
fn to_both(pager_wants_it: bool) -> Route<'static> {
    let pager = Target {
        sink: "pager",
        follows_incidents: true,
    };
    let Route::To(mut targets) = Route::to(&["chat"]) else {
        panic!("it is muted");
    };
    targets.extend(pager_wants_it.then_some(pager));
    Route::To(targets)
}

/// What happens to an agent, all of it about one incident.
fn happens(store: &mut Store, kinds: &[EventKind], route: &Route<'static>) {
    let change = Change {
        events: kinds.iter().map(|kind| event(*kind, "a", "1")).collect(),
        ..Change::default()
    };
    store.apply(at(0), &change, |_| route.clone()).unwrap();
}

/// What both sinks take from now on.
fn taken(store: &mut Store) -> [Vec<EventKind>; 2] {
    ["pager", "chat"].map(|sink| {
        let mut taken = Vec::new();
        while let Some(first) = store.due(sink, at(0), 1).unwrap().deliveries.pop() {
            let settled = Settled {
                agent: "a".to_owned(),
                number: first.event.number,
                outcome: Outcome::Delivered,
            };
            store.settle(sink, at(0), &[settled], None).unwrap();
            taken.push(first.event.event.kind);
        }
        taken
    })
}

#[test]
fn what_is_opened_while_muted_and_still_open_is_sent_when_the_mute_is_over() {
    let place = Place::new();
    let mut store = place.open();
    let kinds = [RolloutStarted, AgentUnready, AgentUnready];
    happens(&mut store, &kinds, &Route::Muted);
    assert_eq!(store.unmute(at(1), |_| Route::Muted).unwrap(), 0);
    // It is kept for that, and over a restart.
    store.prune(at(10), std::time::Duration::ZERO).unwrap();
    drop(store);
    let mut store = place.open();
    assert_eq!(taken(&mut store), [[]; 2], "it is still muted");
    assert_eq!(store.unmute(at(1), |_| to_both(true)).unwrap(), 1);
    assert_eq!(store.unmute(at(1), |_| to_both(true)).unwrap(), 0, "once");
    assert_eq!(taken(&mut store), [[AgentUnready]; 2]);
    // The end of it as well, also to a pager that would not want it by itself.
    happens(&mut store, &[AgentRecovered], &to_both(false));
    assert_eq!(taken(&mut store), [[AgentRecovered]; 2]);
}

#[test]
fn what_nobody_was_sent_as_open_is_not_closed() {
    let place = Place::new();
    let mut store = place.open();
    happens(&mut store, &[AgentUnready, AgentRecovered], &Route::Muted);
    assert_eq!(store.unmute(at(1), |_| to_both(true)).unwrap(), 0);
    happens(&mut store, &[AgentUnready], &Route::Muted);
    happens(&mut store, &[AgentRecovered], &to_both(true));
    assert_eq!(taken(&mut store), [[]; 2]);
    // The next one is for everybody.
    happens(&mut store, &[AgentUnready, AgentRecovered], &to_both(true));
    assert_eq!(taken(&mut store), [[AgentUnready, AgentRecovered]; 2]);
}

#[test]
fn what_closes_an_incident_follows_what_opened_it_through_filters_and_mutes() {
    let place = Place::new();
    let mut store = place.open();
    for (route, taken_by_chat) in [
        (to_both(false), vec![AgentRecovered]),
        (Route::Muted, vec![]),
    ] {
        happens(&mut store, &[AgentUnready], &to_both(true));
        assert_eq!(taken(&mut store), [[AgentUnready]; 2]);
        happens(&mut store, &[AgentRecovered], &route);
        assert_eq!(taken(&mut store), [vec![AgentRecovered], taken_by_chat]);
        // Once for each incident.
        happens(&mut store, &[AgentRecovered], &Route::Muted);
        assert_eq!(taken(&mut store), [[]; 2]);
    }
}
