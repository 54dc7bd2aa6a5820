//! The name of an agent, checked before it becomes part of a URL.

use std::fmt;
use std::str::FromStr;

/// The name of an agent: not empty, no `.` or `..`, no control character.
///
/// A name is sent as one percent-encoded path segment, so a slash in it is harmless; `.` and `..`
/// are refused because URL parsers resolve them even when they are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AgentName(String);

/// Why a text cannot be the name of an agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAgentName {
    /// Nothing was given.
    #[error("an agent name cannot be empty")]
    Empty,
    /// `.` or `..`, which a URL path would resolve away.
    #[error("{0:?} cannot be an agent name: a URL path would resolve it away")]
    Dots(String),
    /// A line break, an escape or another control character.
    #[error("an agent name cannot hold control characters: {0:?}")]
    Control(String),
}

impl AgentName {
    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentName {
    type Err = InvalidAgentName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidAgentName::Empty);
        }
        if matches!(text, "." | "..") {
            return Err(InvalidAgentName::Dots(text.to_owned()));
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidAgentName::Control(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_a_path_segment_can_carry_pass() {
        for name in [
            "voice-starter",
            "a/b",
            "%2e%2e",
            "...",
            "naïve agent",
            "a?b#c",
        ] {
            assert_eq!(name.parse::<AgentName>().unwrap().as_str(), name);
        }
    }

    #[test]
    fn names_that_would_leave_the_path_are_refused() {
        assert_eq!("".parse::<AgentName>(), Err(InvalidAgentName::Empty));
        for name in [".", ".."] {
            assert_eq!(
                name.parse::<AgentName>(),
                Err(InvalidAgentName::Dots(name.to_owned()))
            );
        }
        for name in ["a\nb", "\u{1b}[31m", "a\u{0}", "\u{9b}"] {
            assert_eq!(
                name.parse::<AgentName>(),
                Err(InvalidAgentName::Control(name.to_owned()))
            );
        }
    }
}
