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
#[error("{name:?} cannot be an agent name: {why}")]
pub struct InvalidAgentName {
    name: String,
    why: &'static str,
}

impl AgentName {
    /// The name that a person gave. What no agent can be called is a mistake, and not worth a request:
    /// the platform makes a Kubernetes object of that name.
    ///
    /// # Errors
    /// When no agent can be called so.
    pub fn given(text: &str) -> Result<Self, InvalidAgentName> {
        let name: Self = text.parse()?;
        let of_a_word = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
        let is_name = text
            .chars()
            .all(|char| of_a_word(char) || "-.".contains(char))
            && text.starts_with(of_a_word)
            && text.ends_with(of_a_word);
        if is_name {
            Ok(name)
        } else {
            Err(invalid(
                text,
                "it may have lower-case letters, digits, hyphens and dots, and begins and ends with a letter \
             or digit",
            ))
        }
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AgentName {
    type Err = InvalidAgentName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(invalid(text, "it is empty")),
            "." | ".." => Err(invalid(text, "a URL path would resolve it away")),
            _ if text.chars().any(char::is_control) => {
                Err(invalid(text, "it holds control characters"))
            }
            _ => Ok(Self(text.to_owned())),
        }
    }
}

fn invalid(name: &str, why: &'static str) -> InvalidAgentName {
    let name = name.to_owned();
    InvalidAgentName { name, why }
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
        for name in ["", ".", "..", "a\nb", "\u{1b}[31m", "a\u{0}", "\u{9b}"] {
            assert!(name.parse::<AgentName>().is_err(), "{name:?}");
            assert!(AgentName::given(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_name_that_a_person_gives_is_one_that_the_platform_can_have() {
        for name in ["a", "7", "voice-starter", "voice.starter-2", "a--b"] {
            assert_eq!(AgentName::given(name).unwrap().as_str(), name);
        }
        for name in [
            "My Agent!",
            "Voice",
            "voice_starter",
            "-a",
            "a-",
            ".a",
            "a.",
            "a/b",
            "naïve",
            "https://x",
        ] {
            assert!(AgentName::given(name).is_err(), "{name}");
        }
        assert_eq!(
            AgentName::given("My Agent!").unwrap_err().to_string(),
            "\"My Agent!\" cannot be an agent name: it may have lower-case letters, digits, hyphens and \
             dots, and begins and ends with a letter or digit"
        );
    }
}
