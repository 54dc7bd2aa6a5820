//! The scenarios that come with the program.

/// Name and text of each, the good endings first, then the bad, then the odd.
const SCENARIOS: &[(&str, &str)] = &[(
    "rolling-update",
    include_str!("../../../config/scenarios/rolling-update.toml"),
)];

/// The text of the built-in scenario `name`.
pub(super) fn text(name: &str) -> Option<&'static str> {
    let (_, text) = SCENARIOS.iter().find(|(known, _)| *known == name)?;
    Some(text)
}

/// The names in their order.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    SCENARIOS.iter().map(|(name, _)| *name)
}
