//! The agents in the list that no request can ask for.

use std::collections::BTreeSet;

use tracing::warn;

use crate::core::text::one_line;
use crate::core::wire::{AgentName, Service};

/// The most names that are remembered, and the longest, lest a list of ever new ones fill the memory.
const MOST: usize = 100;
const LONGEST: usize = 256;

/// The names that cannot be part of a URL and have been told of.
#[derive(Debug, Default)]
pub(super) struct Unaskable(BTreeSet<String>);

impl Unaskable {
    /// The others. Each that cannot be asked for is told of once.
    pub(super) fn leave_out(&mut self, mut services: Vec<Service>) -> Vec<Service> {
        services.retain(|service| {
            let name = service.name.as_deref().unwrap_or_default();
            let Err(error) = name.parse::<AgentName>() else {
                return true;
            };
            let is_remembered = self.0.len() < MOST && name.len() <= LONGEST;
            if is_remembered && self.0.insert(name.to_owned()) {
                let why = one_line(&error.to_string());
                warn!("an agent in the list is not watched: {why}");
            }
            false
        });
        services
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_for_is_left_out_and_remembered_within_bounds() {
        let named = |name: String| Service {
            name: Some(name),
            ..Service::default()
        };
        let mut unaskable = Unaskable::default();
        let given = ["a", "..", "a\u{1b}b", "b"].map(str::to_owned);
        let left = unaskable.leave_out(given.map(named).to_vec());
        assert_eq!(left, ["a", "b"].map(|name| named(name.to_owned())));
        assert_eq!(unaskable.0.len(), 2);
        let long = named("\n".repeat(LONGEST + 1));
        assert_eq!(unaskable.leave_out(vec![long]), []);
        assert_eq!(unaskable.0.len(), 2);
        let endless = (0..2 * MOST).map(|number| named(format!("\n{number}")));
        assert_eq!(unaskable.leave_out(endless.collect()), []);
        assert_eq!(unaskable.0.len(), MOST);
    }
}
