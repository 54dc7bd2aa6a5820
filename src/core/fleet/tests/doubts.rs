//! What goes back behind what was seen has to be shown by three lists in a row.

use super::*;

fn updated(desired: &str, second: i64) -> Service {
    Service {
        updated_at: Some(at(second)),
        ..service("a", desired, desired)
    }
}

#[test]
fn an_entry_that_is_known_to_lag_is_passed_over() {
    let mut fleet = Fleet::restore(Vec::new());
    let _ = fleet.on_list(at(0), &[updated("new", 100)]);
    assert_eq!(begun(&fleet.on_list(at(10), &[updated("old", 50)])), []);
    assert_eq!(
        begun(&fleet.on_list(at(20), &[updated("newer", 150)])),
        [("a", "newer")]
    );
}

#[test]
fn an_entry_that_lags_is_passed_over_after_a_restart_as_well() {
    let mut fleet = Fleet::restore(Vec::new());
    let _ = fleet.on_list(at(0), &[updated("old", 50)]);
    let _ = fleet.on_list(at(10), &[updated("new", 100)]);
    let _ = fleet.happened(at(11), "a", &found("new"));
    let change = fleet.ended(at(12), "a", &outcome("new", Verdict::Ready));
    let mut fleet = Fleet::restore(change.agents);
    for second in [20, 21] {
        assert_eq!(begun(&fleet.on_list(at(second), &[updated("old", 50)])), []);
    }
    // A roll-back has a later time.
    let rolled_back = fleet.on_list(at(30), &[updated("old", 150)]);
    assert_eq!(begun(&rolled_back), [("a", "old")]);
}

#[test]
fn where_nothing_tells_the_order_a_deployment_from_before_has_to_be_confirmed() {
    let mut fleet = resting();
    let new = [service("a", "new", "new")];
    let old = [service("a", "old", "old")];
    let _ = fleet.on_list(at(10), &new);
    let _ = fleet.happened(at(11), "a", &found("new"));
    let _ = fleet.ended(at(12), "a", &outcome("new", Verdict::Ready));
    for list in [&old, &old, &new, &old, &old] {
        assert_eq!(begun(&fleet.on_list(at(20), list)), []);
    }
    assert_eq!(begun(&fleet.on_list(at(30), &old)), [("a", "old")]);
}

/// With one time that was ahead, every later deploy would stay unseen.
#[test]
fn an_older_time_that_three_lists_in_a_row_agree_on_is_believed() {
    let mut fleet = Fleet::restore(Vec::new());
    let _ = fleet.on_list(at(0), &[updated("old", 1000)]);
    let mut list = |shown: &[Service]| {
        let step = fleet.on_list(at(10), shown);
        let begun: Vec<String> = step.begin.into_iter().map(|b| b.deployment_id).collect();
        for deployment in &begun {
            let _ = fleet.happened(at(11), "a", &found(deployment));
            let _ = fleet.ended(at(12), "a", &outcome(deployment, Verdict::Ready));
        }
        begun
    };
    for (shown, why) in [
        (Some(updated("new", 100)), "the first"),
        (Some(updated("new", 100)), "the second"),
        (Some(updated("old", 1000)), "as it was"),
        (Some(updated("new", 100)), "the first again"),
        (Some(updated("new", 100)), "the second again"),
        (Some(updated("new", 99)), "another time"),
        (Some(updated("newer", 99)), "another deployment"),
        (Some(updated("newer", 99)), "the second of that"),
        (None, "not shown"),
        (Some(updated("newer", 99)), "the first after that"),
        (Some(updated("newer", 99)), "the second after that"),
    ] {
        let shown: Vec<Service> = shown.into_iter().collect();
        assert!(list(&shown).is_empty(), "{why}");
    }
    assert_eq!(list(&[updated("newer", 99)]), ["newer"]);
    // From then on that is the time to go by.
    assert_eq!(list(&[updated("newest", 100)]), ["newest"]);
}

fn under(id: &str) -> Service {
    Service {
        id: Some(id.to_owned()),
        ..service("a", "old", "old")
    }
}

/// The ids of what is told of these lists.
fn told(fleet: &mut Fleet, lists: &[Option<Service>]) -> Vec<String> {
    let mut told = Vec::new();
    for list in lists {
        let services: Vec<Service> = list.iter().cloned().collect();
        let change = fleet.on_list(at(10), &services).change;
        told.extend(ids(&change).into_iter().map(str::to_owned));
    }
    told
}

/// They were told back and forth, and the last word was chance.
#[test]
fn another_agent_under_the_name_has_to_be_confirmed() {
    let [one, other] = [under("one"), under("other")].map(Some);
    let mut fleet = Fleet::restore(Vec::new());
    let lists = [&one, &other, &one, &other, &other, &None, &other, &other].map(Clone::clone);
    assert_eq!(told(&mut fleet, &lists), [""; 0]);
    assert_eq!(
        told(&mut fleet, std::slice::from_ref(&other)),
        ["a/one/removed", "a/other/added"]
    );
    assert_eq!(
        told(&mut fleet, &[other.clone(), one.clone(), one, other]),
        [""; 0]
    );
}

#[test]
fn another_agent_that_was_made_or_changed_later_is_believed_at_once() {
    let times = |id: &str, created: Option<i64>, updated: Option<i64>| {
        Some(Service {
            created_at: created.map(at),
            updated_at: updated.map(at),
            ..under(id)
        })
    };
    let one = times("one", Some(100), Some(200));
    for (other, at_once) in [
        (times("other", Some(300), Some(301)), true),
        (times("other", Some(300), None), true),
        (times("other", None, Some(300)), true),
        (times("other", Some(50), Some(150)), false),
        (times("other", Some(200), Some(200)), false),
        (times("other", None, None), false),
    ] {
        let mut fleet = Fleet::restore(Vec::new());
        let told_of = told(&mut fleet, &[one.clone(), other.clone()]);
        assert_eq!(!told_of.is_empty(), at_once, "{other:?}");
        if at_once {
            // A replica that lags does not bring the old one back.
            let lists = [one.clone(), other.clone(), one.clone(), one.clone(), other];
            assert_eq!(told(&mut fleet, &lists), [""; 0]);
        }
    }
}

#[test]
fn one_that_is_gone_comes_back_confirmed_or_with_a_later_time() {
    let gone = || {
        let mut fleet = Fleet::restore(Vec::new());
        let lists = [Some(updated("old", 100)), None, None, None];
        assert_eq!(told(&mut fleet, &lists), ["a/id-of-a/removed"]);
        fleet
    };
    let shown = Some(updated("old", 100));
    let mut fleet = gone();
    let lists = [&shown, &shown, &None, &shown, &shown].map(Clone::clone);
    assert_eq!(told(&mut fleet, &lists), [""; 0]);
    assert!(fleet.has_doubts() && fleet.agent("a").is_none());
    let step = fleet.on_list(at(20), &[updated("old", 100)]);
    assert_eq!(
        (ids(&step.change), begun(&step)),
        (vec!["a/id-of-a/added/2"], vec![("a", "old")])
    );
    assert!(!fleet.has_doubts());
    let told_of = told(&mut gone(), &[Some(updated("old", 101))]);
    assert_eq!(told_of, ["a/id-of-a/added/2"]);
}

#[test]
fn what_is_in_doubt_since_the_first_list_began_while_nobody_watched() {
    for (lists, late) in [(0, true), (1, false)] {
        let mut fleet = Fleet::restore(Vec::new());
        let _ = fleet.on_list(at(0), &[under("one")]);
        let mut fleet = restart(&fleet);
        for _ in 0..lists {
            let _ = fleet.on_list(at(9), &[under("one")]);
        }
        assert_eq!(
            told(&mut fleet, &[Some(under("other")), Some(under("other"))]),
            [""; 0]
        );
        let step = fleet.on_list(at(12), &[under("other")]);
        assert_eq!(begun(&step), [("a", "old")]);
        let change = fleet.happened(at(13), "a", &found("old"));
        assert_eq!(change.notices[0].data.observed_late, late);
    }
}

#[test]
fn a_single_pass_reads_on_until_nothing_is_in_doubt() {
    let mut fleet = Fleet::restore(Vec::new());
    let _ = fleet.on_list(at(0), &[updated("old", 1000)]);
    assert!(!fleet.has_doubts());
    for (doubts, shown) in [
        (true, vec![]),
        (true, vec![updated("new", 100)]),
        (false, vec![updated("old", 1000)]),
        (true, vec![updated("new", 100)]),
        (true, vec![updated("new", 100)]),
        (false, vec![updated("new", 100)]),
        (false, vec![updated("new", 100)]),
    ] {
        let _ = fleet.on_list(at(10), &shown);
        assert_eq!(fleet.has_doubts(), doubts, "{shown:?}");
    }
}
