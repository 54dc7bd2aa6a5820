//! Agents that go and come back: what happens to them has ids of its own.

use super::*;

/// A sidecar's life: what it keeps from one start to the next, and the ids of what it has told.
struct Life {
    fleet: Fleet,
    kept: BTreeMap<String, AgentRecord>,
    told: Vec<String>,
}

impl Life {
    fn new() -> Self {
        Self {
            fleet: Fleet::restore(Vec::new()),
            kept: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// Ends the program and starts it anew.
    fn restart(&mut self) {
        self.fleet = Fleet::restore(self.kept.values().cloned().collect());
    }

    /// Writes a change down, as the store does.
    fn take(&mut self, change: Change) {
        for name in &change.removed {
            self.kept.remove(name);
        }
        for record in change.agents {
            self.kept.insert(record.name.clone(), record);
        }
        self.told
            .extend(change.notices.into_iter().map(|notice| notice.id));
    }

    fn list(&mut self, second: i64, services: &[Service]) -> Vec<Begin> {
        let step = self.fleet.on_list(at(second), services);
        self.take(step.change);
        step.begin
    }

    /// It comes, and its rollout is followed to its end.
    fn comes(&mut self, second: i64, service: &Service) {
        let begun = (0..5)
            .find_map(|list| {
                self.list(second + list, std::slice::from_ref(service))
                    .pop()
            })
            .expect("a rollout begins");
        let deployment = begun.deployment_id;
        let change = self.fleet.happened(at(second), "a", &found(&deployment));
        self.take(change);
        let ready = outcome(&deployment, Verdict::Ready);
        let change = self.fleet.ended(at(second), "a", &ready);
        self.take(change);
    }

    fn goes(&mut self, second: i64) {
        for list in 0..3 {
            assert_eq!(self.list(second + list, &[]), []);
        }
    }

    fn breaks_and_recovers(&mut self, second: i64) {
        for look in [unready(), unready(), unready(), Look::Ready] {
            let (change, _) = self.fleet.looked(at(second), "a", look);
            self.take(change);
        }
    }
}

/// The second alarm had the id of the first, and was dropped as told already.
#[test]
fn what_happens_to_an_agent_that_comes_back_has_ids_of_its_own() {
    for restarts in [false, true] {
        for id in [Some("id-of-a"), None] {
            let shown = Service {
                id: id.map(str::to_owned),
                ..service("a", "old", "old")
            };
            let mut life = Life::new();
            assert_eq!(life.list(0, std::slice::from_ref(&shown)), []);
            life.breaks_and_recovers(10);
            for time in [100, 200] {
                life.goes(time);
                if restarts {
                    life.restart();
                }
                life.comes(time + 10, &shown);
                if restarts {
                    life.restart();
                    assert_eq!(life.list(time + 20, std::slice::from_ref(&shown)), []);
                }
                life.breaks_and_recovers(time + 30);
            }
            let id = id.unwrap_or("-");
            assert_eq!(
                life.told,
                [
                    "a/old/unready/1",
                    "a/old/unready/1/recovered",
                    &format!("a/{id}/removed"),
                    &format!("a/{id}/added/2"),
                    "a/-..old/started",
                    "a/-..old/finished/ready",
                    "a/old/unready/2",
                    "a/old/unready/2/recovered",
                    &format!("a/{id}/removed/2"),
                    &format!("a/{id}/added/3"),
                    "a/-..old/2/started",
                    "a/-..old/2/finished/ready",
                    "a/old/unready/3",
                    "a/old/unready/3/recovered",
                ],
                "restarts: {restarts}"
            );
        }
    }
}

#[test]
fn each_service_under_a_name_counts_its_own_lives() {
    let mut life = Life::new();
    let shown = |id: &str, second| Service {
        id: Some(id.to_owned()),
        created_at: Some(at(second)),
        updated_at: Some(at(second)),
        ..service("a", "old", "old")
    };
    assert_eq!(life.list(0, &[shown("one", 0)]), []);
    for (second, id) in [(10, "other"), (20, "one"), (30, "other")] {
        let _ = life.list(second, &[shown(id, second)]);
    }
    assert_eq!(
        life.told,
        [
            "a/one/removed",
            "a/other/added",
            "a/other/removed",
            "a/one/added/2",
            "a/one/removed/2",
            "a/other/added/2",
        ]
    );
}

#[test]
fn what_is_kept_of_agents_that_are_gone_is_forgotten_in_time() {
    let mut life = Life::new();
    let shown = service("a", "old", "old");
    assert_eq!(life.list(0, std::slice::from_ref(&shown)), []);
    life.goes(10);
    let kept = life.kept["a"].clone();
    assert_eq!((kept.gone_at, kept.deployment_id), (Some(at(12)), None));
    life.restart();
    assert!(life.fleet.forget(at(12)).is_empty(), "not old yet");
    assert_eq!(life.fleet.agents().count(), 0, "it is not there");
    let change = life.fleet.forget(at(13));
    assert_eq!(change.removed, ["a"]);
    life.take(change);
    assert!(life.kept.is_empty() && life.fleet.forget(at(99)).is_empty());
}

/// As it was written before anything was kept of agents that are gone.
#[test]
fn an_old_record_is_one_of_a_first_life() {
    let old = r#"{"name":"a","serviceId":"id-of-a","region":"us-west","deploymentId":"old",
        "standing":{"state":"settled","verdict":"ready","since":"2026-11-23T14:00:00Z"},
        "unreadyEpisodes":4,"steps":[["-..old",1]],"changedAt":"2026-11-23T15:00:00Z"}"#;
    let mut life = Life::new();
    life.kept
        .insert("a".to_owned(), serde_json::from_str(old).unwrap());
    life.restart();
    life.goes(0);
    life.comes(10, &service("a", "old", "old"));
    life.breaks_and_recovers(20);
    assert_eq!(
        life.told,
        [
            "a/id-of-a/removed",
            "a/id-of-a/added/2",
            "a/-..old/2/started",
            "a/-..old/2/finished/ready",
            "a/old/unready/5",
            "a/old/unready/5/recovered",
        ]
    );
}

#[test]
fn who_is_not_in_scope_is_neither_gone_nor_new_when_it_is_again() {
    let mut life = Life::new();
    let (a, b) = (service("a", "old", "old"), service("b", "x", "x"));
    assert_eq!(life.list(0, &[a.clone(), b.clone()]), []);
    let kept = life.kept.clone();
    let records = || kept.values().cloned().collect();
    life.fleet = Fleet::restore_in_scope(records(), |record| record.name == "a");
    assert_eq!(life.fleet.agents().count(), 1);
    for second in 10..15 {
        assert_eq!(life.list(second, std::slice::from_ref(&a)), []);
    }
    assert!(life.fleet.forget(at(1_000_000)).is_empty());
    assert_eq!((&life.kept, life.told.len()), (&kept, 0));
    // One that moves into the scope is the same.
    let moved = Service {
        region: Some("eu-central".to_owned()),
        ..b.clone()
    };
    let step = life.fleet.on_list(at(20), &[a.clone(), moved]);
    assert_eq!((ids(&step.change), begun(&step)), (vec![], vec![]));
    assert_eq!(step.added, ["b"]);
    assert_eq!(step.change.agents[0].region.as_deref(), Some("eu-central"));
    life.take(step.change);
    life.restart();
    assert_eq!(life.list(30, &[a, b]), []);
    assert_eq!(life.told.len(), 0);
}

/// It would be lost for the next run in full, which finds it known.
#[test]
fn what_a_narrower_scope_sees_first_is_new_where_others_are_remembered() {
    let mut life = Life::new();
    assert_eq!(life.list(0, &[service("a", "old", "old")]), []);
    let records = life.kept.values().cloned().collect();
    life.fleet = Fleet::restore_in_scope(records, |record| record.name == "b");
    let begun = life.list(10, &[service("b", "x", "x")]);
    assert_eq!(
        (begun.len(), life.told),
        (1, vec!["b/id-of-b/added".to_owned()])
    );
}
