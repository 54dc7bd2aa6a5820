//! The scenarios that come with the program.

macro_rules! scenario {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../../config/scenarios/", $name, ".toml")),
        )
    };
}

/// Name and text of each, the good endings first, then the bad, then the odd.
const SCENARIOS: &[(&str, &str)] = &[
    scenario!("rolling-update"),
    scenario!("first-deploy"),
    scenario!("scale-to-zero"),
    scenario!("bad-gateway"),
    scenario!("rate-limited"),
    scenario!("lagging-reads"),
    scenario!("flapping"),
    scenario!("crash-loop"),
    scenario!("image-pull"),
    scenario!("out-of-memory"),
    scenario!("phase-failed"),
    scenario!("infrastructure-issue"),
    scenario!("stuck"),
    scenario!("superseded"),
    scenario!("rolled-back"),
    scenario!("unchanged"),
    scenario!("deleted"),
    scenario!("not-found"),
    scenario!("unauthorized"),
    scenario!("outage"),
];

/// The text of the built-in scenario `name`.
pub(super) fn text(name: &str) -> Option<&'static str> {
    let (_, text) = SCENARIOS.iter().find(|(known, _)| *known == name)?;
    Some(text)
}

/// The names in their order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|(name, _)| *name)
}
