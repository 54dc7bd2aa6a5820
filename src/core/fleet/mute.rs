//! Agents about which nobody wants to hear for a while. What happens to them is logged and kept all the same.

use std::fmt;

use jiff::Timestamp;

use super::event::FleetEvent;
use super::scope::{BadPattern, Patterns};

/// Agents about which sinks are sent nothing until a moment.
#[derive(Debug, Clone)]
pub struct Mute {
    agents: Patterns,
    /// The patterns as they were written.
    written: Vec<String>,
    until: Timestamp,
    reason: String,
}

impl Mute {
    /// Agents whose name one of the patterns fits.
    ///
    /// # Errors
    /// When a pattern cannot be understood.
    pub fn new(agents: Vec<String>, until: Timestamp, reason: String) -> Result<Self, BadPattern> {
        Ok(Self {
            agents: Patterns::or_all(&agents)?,
            written: agents,
            until,
            reason,
        })
    }

    /// Whether it keeps an event from the sinks. An event about the sidecar itself is kept from none.
    #[must_use]
    pub fn mutes(&self, event: &FleetEvent) -> bool {
        let agent = &event.data.agent;
        event.time < self.until && !agent.is_empty() && self.agents.fit(agent)
    }

    /// Whether it is over.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.until
    }
}

impl fmt::Display for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let agents = self.written.join(", ");
        write!(f, "{agents} until {}: {}", self.until, self.reason)
    }
}
