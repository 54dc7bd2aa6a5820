//! What the pace promises: its bounds, and that no fixed interval does better with as many requests.

mod simulation;

use std::time::Duration;

use self::simulation::{CLASSES, Comparison, compare};
use super::*;

/// Enough for ratios that are true to about 3 %, and quick without optimization.
const ROLLOUTS: usize = 10_000;

fn wait_ms(phase: Phase, phase_age_ms: u64, elapsed_ms: u64) -> u128 {
    let moment = Moment {
        phase,
        phase_age: Duration::from_millis(phase_age_ms),
        elapsed: Duration::from_millis(elapsed_ms),
    };
    Pace::Adaptive.wait(moment, 0.0).as_millis()
}

#[test]
fn waits_twice_as_long_before_reconciliation() {
    for &phase in Phase::ALL {
        let expected = match phase {
            Phase::Waiting | Phase::Building | Phase::Reconciling => 1800,
            _ => 900,
        };
        assert_eq!(wait_ms(phase, 500, 20_000), expected, "{phase}");
        assert_eq!(wait_ms(phase, 599_999, 600_000), expected, "{phase}");
    }
}

#[test]
fn first_wait_is_long_unless_the_rollout_is_under_way() {
    for &phase in Phase::ALL {
        let expected = match phase {
            Phase::Waiting | Phase::Building | Phase::Reconciling | Phase::Progressing => 1800,
            _ => 900,
        };
        assert_eq!(wait_ms(phase, 0, 999), expected, "{phase}");
    }
}

#[test]
fn polls_soon_again_after_something_new() {
    for &phase in Phase::ALL {
        assert_eq!(wait_ms(phase, 0, 1000), 900, "{phase}");
        assert_eq!(wait_ms(phase, 499, 1000), 900, "{phase}");
    }
}

#[test]
fn polls_rarely_after_ten_minutes_without_a_change() {
    for &phase in Phase::ALL {
        assert_eq!(wait_ms(phase, 600_000, 600_000), 5000, "{phase}");
        assert_eq!(wait_ms(phase, u64::MAX, u64::MAX), 5000, "{phase}");
        assert_eq!(wait_ms(phase, 0, 3_600_000), 900, "{phase}");
    }
}

#[test]
fn jitter_shortens_a_wait_by_up_to_a_tenth_within_the_bounds() {
    let times = [0, 400, 500, 999, 1000, 10_000, 599_999, 600_000, u64::MAX];
    for &phase in Phase::ALL {
        for phase_age in times.map(Duration::from_millis) {
            for elapsed in times.map(Duration::from_millis) {
                let moment = Moment {
                    phase,
                    phase_age,
                    elapsed,
                };
                let wait = |random| Pace::Adaptive.wait(moment, random);
                let longest = wait(0.0);
                assert!(longest <= Duration::from_secs(5), "{moment:?}");
                assert!(wait(1.0) >= Duration::from_millis(500), "{moment:?}");
                assert_eq!(wait(0.5), longest.mul_f64(0.95), "{moment:?}");
                assert_eq!(wait(1.0), longest.mul_f64(0.9), "{moment:?}");
                for no_share in [-0.1, 1.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                    assert_eq!(wait(no_share), longest, "{moment:?}");
                }
            }
        }
    }
}

#[test]
fn waits_never_grow_as_a_rollout_moves_on() {
    let order = [
        Phase::Waiting,
        Phase::Reconciling,
        Phase::Creating,
        Phase::Validating,
    ];
    let waits = order.map(|phase| wait_ms(phase, 30_000, 60_000));
    assert!(waits.is_sorted_by(|before, after| before >= after));
    assert!(waits[0] > waits[3]);
    // Where no phase is shown, time alone moves on.
    let ages = [0, 1000, 30_000, 300_000, 599_000];
    let waits = ages.map(|age| wait_ms(Phase::Progressing, age, age));
    assert!(waits.is_sorted_by(|before, after| before >= after));
    assert!(waits[0] > waits[4]);
}

#[test]
fn fixed_interval_is_kept_to_the_letter() {
    for interval in [7, 400, 60_000].map(Duration::from_millis) {
        for random in [0.0, 0.9, f64::NAN] {
            let moment = Moment {
                phase: Phase::Validating,
                phase_age: Duration::from_hours(1),
                elapsed: Duration::from_hours(1),
            };
            assert_eq!(Pace::Fixed(interval).wait(moment, random), interval);
        }
    }
}

/// Watches each of these classes; `share` is how late the end may be seen, as a share of how late
/// the fixed intervals with as many requests see it.
fn assert_no_later_than_fixed(names: &[&str], share: f64) -> Vec<Comparison> {
    let compared = names.iter().map(|name| {
        let class = CLASSES.iter().find(|class| class.name == *name).unwrap();
        let compared = compare(class, ROLLOUTS, |moment, random| {
            Pace::Adaptive.wait(moment, random)
        });
        let ours = &compared.ours;
        for fixed in [&compared.same_mean, &compared.same_each] {
            assert!((ours.requests - fixed.requests).abs() < 0.01 * ours.requests);
            let [median, p95] = [ours.median / fixed.median, ours.p95 / fixed.p95];
            assert!(
                median <= share && p95 <= share,
                "{name}: {median:.3} and {p95:.3} of the median and p95 of fixed {:.2} s",
                compared.interval
            );
        }
        compared
    });
    compared.collect()
}

#[test]
fn sees_the_end_sooner_than_any_fixed_interval_with_as_many_requests() {
    let names = [
        "quick, 3 to 25 s",
        "slow, 25 to 200 s",
        "long, 200 to 600 s",
    ];
    for compared in assert_no_later_than_fixed(&names, 0.9) {
        assert!(compared.ours.median <= 0.5, "{}", compared.ours.median);
    }
}

#[test]
fn gains_on_fixed_intervals_where_an_end_comes_early_or_late() {
    let names = ["scale to zero, 3 to 12 s", "slow pull, short check"];
    for compared in assert_no_later_than_fixed(&names, 0.9) {
        assert!(compared.ours.median <= 0.5, "{}", compared.ours.median);
    }
    assert_no_later_than_fixed(&["error before reconciled"], 0.8);
}

/// Without phases nothing distinguishes the end from the beginning; they do equally well, but for what sampling leaves.
#[test]
fn is_level_with_fixed_intervals_where_little_is_known() {
    let names = [
        "quick, no phases",
        "slow, no phases",
        "long, no phases",
        "crash loop in Validating",
        "crash loop in Creating",
        "quick, joined midway",
    ];
    for compared in assert_no_later_than_fixed(&names, 1.03) {
        assert!(compared.ours.median <= 0.5, "{}", compared.ours.median);
    }
}

#[test]
fn simulation_sees_no_difference_between_a_fixed_interval_and_itself() {
    let two_seconds = Duration::from_secs(2);
    for class in &CLASSES {
        let compared = compare(class, 1000, |_, _| two_seconds);
        let (ours, fixed) = (&compared.ours, &compared.same_mean);
        assert!((compared.interval - 2.0).abs() < 0.02, "{}", class.name);
        assert!((ours.median - fixed.median).abs() < 0.05, "{}", class.name);
        assert!((ours.p95 - fixed.p95).abs() < 0.05, "{}", class.name);
    }
}
