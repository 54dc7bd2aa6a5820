//! The scenarios that come with the program.

macro_rules! scenarios {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!("../../../config/scenarios/", $name, ".toml")))),*]
    };
}

/// Name and text of each, the good endings first, then the bad, then the odd.
pub(super) const SCENARIOS: [(&str, &str); 20] = scenarios! {
    "rolling-update" "first-deploy" "scale-to-zero" "bad-gateway" "rate-limited" "lagging-reads" "flapping"
    "crash-loop" "image-pull" "out-of-memory" "phase-failed" "infrastructure-issue" "stuck"
    "superseded" "rolled-back" "unchanged" "deleted" "not-found" "unauthorized" "outage"
};
