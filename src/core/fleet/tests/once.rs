//! A single pass: it ends with what is certain, and is no success where nobody could be checked.

use super::*;

fn once(rules: Rules, agents: &[&str]) -> Sidecar {
    let rules = Rules {
        mode: Mode::Once,
        ..rules
    };
    Sidecar::with(rules, agents)
}

/// Runs to the end of the pass.
#[track_caller]
fn end(sidecar: &mut Sidecar) -> PassEnd {
    for _ in 0..6000 {
        sidecar.run(TICK);
        if let Some(end) = sidecar.fleet.pass_end() {
            return end;
        }
    }
    panic!("it does not end: {:?}", sidecar.lines());
}

#[test]
fn a_pass_ends_when_every_agent_was_checked_and_what_is_under_way_has_ended() {
    let mut sidecar = once(rules(), &["a", "b"]);
    assert_eq!(end(&mut sidecar), PassEnd::Passed);
    assert!(sidecar.at < 2 * SECOND, "{:?}", sidecar.at);
    sidecar.deploy("a", "d2");
    sidecar.delete("b");
    let watched = Rules {
        mode: Mode::Once,
        ..rules()
    };
    sidecar.restart(watched, 60 * SECOND);
    sidecar.run(20 * SECOND);
    assert_eq!(sidecar.fleet.pass_end(), None, "a is under way");
    sidecar.ready("a");
    assert_eq!(end(&mut sidecar), PassEnd::Passed);
    let mut lines = sidecar.lines();
    lines.sort();
    assert_eq!(
        lines,
        [
            "a d2 rollout.finished ready",
            "a d2 rollout.started",
            "b d1 agent.removed"
        ]
    );
}

#[test]
fn a_pass_over_nobody_is_no_success() {
    let mut sidecar = once(named(&["a", "nobody"]), &["a"]);
    let failed = PassEnd::Failed(Verdict::NotFound, "there is no agent nobody".to_owned());
    assert_eq!(end(&mut sidecar), failed);
    let scope = Scope::new(&["prod-*".to_owned()], &[], Vec::new()).unwrap();
    let narrow = Rules {
        watched: Watched::Listed(scope),
        ..rules()
    };
    let mut sidecar = once(narrow, &["a"]);
    assert!(matches!(
        end(&mut sidecar),
        PassEnd::Failed(Verdict::NotFound, _)
    ));
    let mut sidecar = once(rules(), &[]);
    let why = "the organization has no agents: its list is empty".to_owned();
    assert_eq!(end(&mut sidecar), PassEnd::Failed(Verdict::NotFound, why));
}

#[test]
fn a_list_that_shows_nobody_has_to_be_confirmed() {
    let mut sidecar = once(rules(), &["a"]);
    sidecar.world.list = Some(json!([]));
    sidecar.run(2 * SECOND);
    // Nobody sees these four seconds.
    sidecar.world.list_failure = Some(failure("Http500"));
    sidecar.run(2 * SECOND);
    sidecar.world.list_failure = None;
    sidecar.run(4 * SECOND);
    assert_eq!(sidecar.fleet.pass_end(), None);
    sidecar.world.list = None;
    assert_eq!(end(&mut sidecar), PassEnd::Passed);
    assert_eq!(sidecar.fleet.agents().count(), 1);
    // Who is remembered is asked for, and that somebody is there is enough.
    let watched = Rules {
        mode: Mode::Once,
        ..rules()
    };
    sidecar.restart(watched, 60 * SECOND);
    sidecar.world.list = Some(json!([]));
    assert_eq!(end(&mut sidecar), PassEnd::Passed);
    // A first start takes what it finds as it is, also where the list was empty at first.
    let mut sidecar = Sidecar::with(rules(), &[]);
    let now = sidecar.server_now();
    sidecar.create("a", now);
    sidecar.world.list = Some(json!([]));
    sidecar.run(4 * SECOND);
    sidecar.world.list = None;
    sidecar.run(60 * SECOND);
    assert_eq!(sidecar.lines(), [""; 0]);
    assert_eq!(sidecar.fleet.agents().count(), 1);
}

#[test]
fn a_pass_that_cannot_read_is_no_success() {
    let mut sidecar = once(rules(), &["a"]);
    sidecar.world.list_failure = Some(failure("Http503"));
    let why = "the list of agents cannot be read: the API answered Http503".to_owned();
    assert_eq!(
        end(&mut sidecar),
        PassEnd::Failed(Verdict::Unavailable, why)
    );
    let mut sidecar = once(named(&["a", "b"]), &["a", "b"]);
    sidecar
        .world
        .failures
        .insert("b".to_owned(), failure("Http503"));
    let why = "b cannot be read: the API answered Http503".to_owned();
    assert_eq!(
        end(&mut sidecar),
        PassEnd::Failed(Verdict::Unavailable, why)
    );
    let tries = sidecar.checked.iter().filter(|(_, agent)| agent == "b");
    assert_eq!(tries.count(), 3);
    let mut sidecar = once(rules(), &["a"]);
    let refused = Failure {
        class: FailureClass::Unauthorized,
        ..failure("Http401")
    };
    sidecar.world.list_failure = Some(refused.clone());
    assert!(matches!(
        end(&mut sidecar),
        PassEnd::Failed(Verdict::Unauthorized, _)
    ));
    assert!(sidecar.at >= 2 * SECOND, "confirmed");
    // A single one is not.
    let mut sidecar = once(rules(), &["a"]);
    sidecar.world.list_failure = Some(refused);
    sidecar.run(TICK);
    sidecar.world.list_failure = None;
    assert_eq!(end(&mut sidecar), PassEnd::Passed);
    // What ends does not say that it will go on.
    let mut sidecar = once(named(&["nobody"]), &[]);
    end(&mut sidecar);
    assert_eq!(sidecar.log, ["Warning: there is no agent nobody"]);
}
