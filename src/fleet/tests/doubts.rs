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
